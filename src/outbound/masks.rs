//! Masks secrets in responses. Error pages repeat the requested address, and some services repeat the token that they
//! reject.

use reqwest::Url;

use super::Hidden;

const MASK: &str = "********";
/// Shorter parts of a secret are not masked on their own, because they also occur in other words.
const SHORTEST_PART: usize = 8;

/// The texts to mask, the longest first.
#[derive(Clone, Default)]
pub struct Masks(Vec<String>);

impl Masks {
    /// Masks these secrets: of a URL also the path, the query and their parts; of a header value each word.
    pub fn of<'h>(secrets: impl IntoIterator<Item = &'h Hidden>) -> Self {
        let mut texts: Vec<String> = secrets.into_iter().flat_map(|secret| texts(secret.expose())).collect();
        texts.retain(|text| !text.is_empty());
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        Self(texts)
    }

    /// The text without the secrets. Mask a text before you shorten it, because the shortened end could contain the
    /// beginning of a secret.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

fn texts(secret: &str) -> Vec<String> {
    let mut texts = vec![secret.to_owned()];
    match Url::parse(secret).ok().filter(Url::has_host) {
        Some(url) => {
            let query = url.query().unwrap_or_default();
            texts.extend([url.path(), query].map(str::to_owned).into_iter().filter(|it| it.len() >= SHORTEST_PART));
            texts.push(url.password().unwrap_or_default().to_owned());
            texts.extend([url.path(), query].into_iter().flat_map(parts));
        }
        None => texts.extend(parts(secret)),
    }
    texts
}

/// The parts that can be secret on their own. A word of lower-case letters, such as `services`, does not count.
fn parts(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(['/', '?', '&', '=', ' ', ';']).filter(|part| part.len() >= SHORTEST_PART);
    parts.filter(|part| !part.bytes().all(|byte| byte.is_ascii_lowercase())).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secret: &str, text: &str) -> String {
        Masks::of([&Hidden::from(secret)]).apply(text)
    }

    #[test]
    fn path_and_query_of_a_secret_url_are_masked() {
        let url = "https://hooks.example.net/services/T01234567/B89?sig=aBcDeFgH12&v=1";
        for (text, wanted) in [
            ("Cannot POST /services/T01234567/B89?sig=aBcDeFgH12&v=1", "Cannot POST ********?********"),
            ("no workflow with sig aBcDeFgH12", "no workflow with sig ********"),
            (
                "hooks.example.net knows no team T01234567 of services",
                "hooks.example.net knows no team ******** of services",
            ),
            (url, "********"),
        ] {
            assert_eq!(masked(url, text), wanted);
        }
        assert_eq!(masked("https://user:pa55@a.example/", "pa55 for / of a.example"), "******** for / of a.example");
    }

    #[test]
    fn words_of_a_header_are_masked() {
        assert_eq!(masked("Bearer abcdef0123", "invalid token abcdef0123"), "invalid token ********");
        assert_eq!(masked("hush", "hush now"), "******** now");
        assert_eq!(masked("", "no secret, no mask"), "no secret, no mask");
    }
}
