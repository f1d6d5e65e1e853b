//! Tests the language, and that no template exceeds its allowance.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const PLAIN: Options =
    Options { longest_source: 16_384, work: 2_000_000, is_strict: true, null: "none", decimals: None, is_html: false };
const LENIENT: Options = Options {
    longest_source: 4000,
    work: 200_000,
    is_strict: false,
    null: "unknown",
    decimals: Some(3),
    is_html: false,
};

fn values() -> Map<String, Value> {
    let values = json!({
        "name": "office", "n": 3, "x": 72.5, "yes": true, "nothing": null, "empty": [],
        "alerts": [
            { "server": "a", "value": 1.5, "labels": { "site": "ams" } },
            { "server": "b", "value": null, "labels": {} },
        ],
    });
    values.as_object().cloned().unwrap()
}

fn render(source: &str, options: Options) -> Result<String, Fault> {
    let mut out = String::new();
    Template::parse(source, options)?.render(&values(), 100_000, &mut out).map(|()| out)
}

fn fault(source: &str) -> String {
    match render(source, PLAIN) {
        Ok(text) => format!("rendered as {}", text.chars().take(80).collect::<String>()),
        Err(why) => why.to_string(),
    }
}

#[test]
fn expressions_have_the_values_that_jinja_gives_them() {
    for (source, expected) in [
        ("{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 7 / 2 }} {{ 2 - 3 - 4 }} {{ -n }}", "7 9 3.5 -5 -3"),
        ("{{ name ~ ':' ~ n }} {{ \"a\\\"b\\n\" }}", "office:3 a\"b\n"),
        ("{{ n > 2 and not n > 3 }} {{ n == 3.0 or nothing }} {{ n != 3 }}", "true true false"),
        ("{{ 'off' in name }} {{ n not in [1, 2] }} {{ 'site' in alerts[0].labels }}", "true true true"),
        ("{{ 'ahead' if x > 0 else 'behind' }}{{ 'x' if n > 5 }}", "ahead"),
        ("{{ alerts[0].server }} {{ alerts[-1].server }} {{ alerts.1['server'] }}", "a b b"),
        ("{{ alerts|map(attribute=\"server\")|join(', ') }} {{ alerts|length }}", "a, b 2"),
        ("{{ alerts|map(attribute='labels.site')|first }} {{ (alerts|last).server }}", "ams b"),
        ("{{ x|round }} {{ 1.2345|round(2) }} {{ x|int }} {{ (-2.5)|abs }} {{ '7'|int }}", "73.0 1.23 72 2.5 7"),
        ("{{ name|upper }} {{ 'A'|lower }} {{ ' a '|trim }} {{ name|replace('f', 'ph') }}", "OFFICE a a ophphice"),
        ("{{ {'text': name, 'n': [n, yes, nothing]}|tojson }}", "{\"text\":\"office\",\"n\":[3,true,null]}"),
        ("{{ missing|default('-') }} {{ nothing|default(0) }} {{ missing is defined }}", "- 0 false"),
        ("{{ nothing is none }} {{ name is not none }} {{ nothing }} {{ nothing|upper }}", "true true none none"),
        ("{{ alerts[0].labels }} {{ nothing + 1 }}", "{\"site\":\"ams\"} none"),
    ] {
        assert_eq!(render(source, PLAIN).unwrap(), expected, "{source}");
    }
}

#[test]
fn statements_choose_and_repeat() {
    for (source, expected) in [
        ("{% if n > 5 %}a{% elif n > 2 %}b{% else %}c{% endif %}", "b"),
        ("{% for a in alerts %}{{ loop.index }}{{ a.server }}{{ ',' if not loop.last }}{% endfor %}", "1a,2b"),
        ("{% for a in empty %}x{% else %}none{% endfor %}", "none"),
        ("{% for k in alerts[0].labels %}{{ k }}={{ alerts[0].labels[k] }}{% endfor %}", "site=ams"),
        ("{% for a in [[1, 2], [3]] %}{% for a in a %}{{ a }}{% endfor %};{% endfor %}", "12;3;"),
        ("a {#- b -#} c{# d #}", "ac"),
        ("a\n{%- if yes -%}\n b \n{%- endif %}\n", "ab"),
        ("{\"a\": {\"b\": {{ n }}}}", "{\"a\": {\"b\": 3}}"),
        ("{{ {'a': {'b': 1}} }}", "{\"a\":{\"b\":1}}"),
    ] {
        assert_eq!(render(source, PLAIN).unwrap(), expected, "{source}");
    }
}

#[test]
fn lenient_template_shows_missing_values_as_unknown() {
    let source =
        "{{ missing }} {{ missing.x / 3600 }} {{ missing|round }} {{ missing > 1 }} {{ x }} {{ -0.0001 }} {{ 1e300 }}";
    assert_eq!(render(source, LENIENT).unwrap(), "unknown unknown unknown false 72.5 0 1e+300");
}

#[test]
fn the_names_that_a_template_asks_for_are_known() {
    let template =
        Template::parse("{% for a in alerts %}{{ a.x ~ b }}{% endfor %}{{ a }}{{ c|round }}", PLAIN).unwrap();
    assert_eq!(template.names(), ["a", "alerts", "b", "c"]);
}

#[test]
fn a_wrong_template_is_refused_with_reason_and_line() {
    for (source, expected) in [
        ("\n{{ name", "{{ is not closed (in line 2)"),
        ("{% if yes %}x", "elif or else or endif is missing"),
        ("{{ }}", "a value is expected instead of the end of the tag"),
        ("{{ name name }}", "the end of the tag is expected instead of \"name\""),
        ("{{ 'a }}", "in quotes is not closed"),
        ("{{ name|sum }}", "there is no filter \"sum\"; filters are abs, default"),
        ("{{ name|replace('a') }}", "needs old and new"),
        ("{{ name|upper(1) }}", "so many arguments"),
        ("{{ alerts|map('upper') }}", "write map(attribute=…)"),
        ("{{ range(9) }}", "there are no functions"),
        ("{% set a = 1 %}", "there is no statement \"set\""),
        ("{% endfor %}", "there is no statement \"endfor\" here"),
        ("{{ loop.index }}", "there is no loop here"),
        ("{{ name == not yes }}", "a value is expected instead of \"not\""),
        ("{{ name is odd }}", "there is no test \"odd\""),
        ("{{ 2 ** 3 }}", "a value is expected instead of \"*\""),
        ("{{ name @ }}", "'@' means nothing here"),
        (
            "\n\n{{ name + 1 }}",
            "a text and a number: only numbers can be calculated with; use ~ to join texts (in line 3)",
        ),
        ("{{ alerts == alerts }}", "lists and maps cannot be compared"),
        ("{{ name < 1 }}", "a text and a number cannot be compared"),
        ("{% for a in name %}{% endfor %}", "a text has no items"),
    ] {
        assert!(fault(source).contains(expected), "{source}: {}", fault(source));
    }
}

/// Each template takes little work and is either rejected with one of these reasons or rendered.
#[test]
fn a_template_that_wants_too_much_is_refused() {
    let nested = |open: &str, n: usize, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
    let print = |expression: String| format!("{{{{ {expression} }}}}");
    let each = "{% for a in alerts %}";
    let list = format!("[{}]", "1,".repeat(200));
    let doublings = format!("{{% for a in [name] %}}{}", "{% for a in [a ~ a ~ a ~ a] %}".repeat(15));
    let doublings = doublings + "{{ a }}" + &"{% endfor %}".repeat(16);
    let loops = format!("{{% for a in {list} %}}").repeat(8) + &"{% endfor %}".repeat(8);
    for (source, expected) in [
        (doublings, "takes too much work"),
        (loops, "takes too much work"),
        (print(format!("name{}", "|tojson".repeat(240))), "takes too much work"),
        (print(format!("name{}", "|replace('o', 'oooooooooooooooooooo')".repeat(50))), "takes too much work"),
        (print(nested("(", 5000, ")")), "nested deeper than 32"),
        (print(nested("[", 5000, "]")), "nested deeper than 32"),
        (print(nested("-", 5000, "")), "nested deeper than 32"),
        (print(format!("{}1", "not ".repeat(3000))), "nested deeper than 32"),
        (print(nested("{'a':", 2000, "}")), "nested deeper than 32"),
        (print(nested("1 if 1 else ", 1000, "")), "nested deeper than 32"),
        (print(nested("a[", 3000, "]")), "nested deeper than 32"),
        (print(format!("1{}", "|abs".repeat(3000))), "more than 250 parts"),
        (print(format!("1{}", "+1".repeat(5000))), "more than 250 parts"),
        (print(format!("a{}", ".a".repeat(5000))), "more than 250 parts"),
        (print(format!("1{}", " is defined".repeat(1000))), "more than 250 parts"),
        (print(format!("[{}]", "1,".repeat(300))), "more than 250 parts"),
        (each.repeat(17), "nested deeper than 16"),
        ("{% if 1 %}".repeat(1000), "nested deeper than 16"),
        (format!("{{% if 0 %}}{}", "{% elif 0 %}".repeat(1000)), "is missing"),
        ("{{".repeat(8000), "{{ is not closed"),
        ("{%".repeat(8000), "'%' means nothing here"),
        ("{{".repeat(500_000), "longer than 16384 bytes"),
        ("{#".repeat(8000), "{# is not closed"),
        (print("9".repeat(16_000)), "a number cannot be read"),
        (print("1e999999999".to_owned()), "a number cannot be read"),
        (print("9223372036854775807 * 9223372036854775807".to_owned()), "rendered as 8.5"),
        (print("1e308 * 1e308".to_owned()), "rendered as none"),
        (print("1 / 0".to_owned()), "rendered as none"),
        (print("1.5|round(999999999)".to_owned()), "rendered as 1.5"),
    ] {
        let found = fault(&source);
        assert!(found.contains(expected), "{}: {found}", source.chars().take(100).collect::<String>());
    }
}

#[test]
fn text_at_its_limit_keeps_the_part_written_so_far() {
    let template = Template::parse("ä{{ name }}ä", PLAIN).unwrap();
    let mut out = String::new();
    let why = template.render(&values(), 9, &mut out).unwrap_err();
    assert_eq!((why.kind, out.as_str()), (FaultKind::Full, "äoffice"));
}

const FRAGMENTS: [&str; 50] = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "-",
    "-}}",
    "{%-",
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "in",
    "endfor",
    "a",
    "alerts",
    "name",
    "n",
    "loop",
    ".",
    "index",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    ":",
    "'",
    "\"",
    "\\",
    "|",
    "tojson",
    "join",
    "map",
    "attribute=",
    "replace",
    "round",
    "~",
    "+",
    "*",
    "==",
    "not",
    "is",
    "defined",
    "1e5",
    "ä\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_template_panics(parts in prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 0..60)) {
        for source in [parts.concat(), parts.join(" "), format!("{{{{ {} }}}}", parts.join(" "))] {
            let _ = render(&source, PLAIN);
            let _ = render(&source, LENIENT);
        }
    }
}
