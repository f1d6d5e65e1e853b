//! `plot`.

use super::*;

#[test]
fn every_chart_is_valid_xml_with_its_labels() {
    let (_dir, path) = &a_week();
    let marks = [
        (
            "offset",
            vec![
                "offset (ms)",
                "Feb 27",
                "true offset range, if the claim holds",
                "ticks: failed polls",
                "heads: events",
            ],
        ),
        ("delay", vec!["delay (ms)", "smallest to largest"]),
        ("bound", vec!["|offset| + root distance", "limit", "100 ms"]),
        ("scatter", vec!["delay (ms)", "effect of a queue in one direction"]),
        ("histogram", vec!["samples", "n = 9345"]),
        ("adev", vec!["ADEV (overlapping)", "10⁻⁶", "95 % confidence intervals"]),
        ("tdev", vec!["TDEV", "1 ms", "averaging time τ"]),
        ("comparison", vec!["p5 to p95"]),
    ];
    for (kind, words) in marks {
        let svg = told(path, &[&["plot", kind, "--server", "ntp5"], &WEEK_SPAN[..]].concat());
        resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).unwrap();
        for word in words.into_iter().chain(["ntp5", "seen from ams-1"]) {
            assert!(svg.contains(word), "{kind} lacks {word:?}");
        }
    }
    let one = tempfile::tempdir().unwrap();
    let png = one.path().join("a.png");
    told(path, &[&["plot", "comparison", "-o", png.to_str().unwrap()], &WEEK_SPAN[..]].concat());
    assert_eq!(&std::fs::read(png).unwrap()[1..4], b"PNG");
}

#[test]
fn sparse_stores_and_long_spans_have_charts_and_answers() {
    let (_a, empty) = small([]);
    let (_b, one) = small([measured("a", 0, 1e-3, 0.02)]);
    let (_c, dead) = small((0..100).map(|n| failed("a", n)));
    for arguments in [&["stats"][..], &["export"], &["report"], &["plot", "offset"]] {
        let said = complaint(&empty, arguments);
        assert!(said.starts_with("ntp-monitor: ") && !said.contains("panicked"), "{said}");
    }
    for kind in KINDS {
        for path in [&one, &dead] {
            let svg = told(path, &[&["plot", kind], &DAY[..]].concat());
            resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).unwrap();
        }
    }
    for path in [&one, &dead] {
        assert!(told(path, &[&["report"], &DAY[..]].concat()).contains("</html>"));
        assert!(told(path, &["stats", "--since", "36500d"]).contains("Monitored for"));
        assert!(told(path, &["plot", "offset", "--since", "36500d"]).contains("</svg>"));
    }
    assert!(told(&dead, &[&["stats"], &DAY[..]].concat()).contains("100.00 %"));
    assert!(told(&dead, &[&["plot", "offset"], &DAY[..]].concat()).contains("no measurements"));
    assert!(complaint(&one, &["stats", "--from", "2026-11-02", "--to", "2026-11-01"]).contains("is empty"));
}
