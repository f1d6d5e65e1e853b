//! The proxy of outgoing requests: one URL, or the usual environment variables.

use std::fmt;

use reqwest::{ClientBuilder, NoProxy, Url};

use super::Hidden;

/// The text that selects the environment variables.
const FROM_ENVIRONMENT: &str = "environment";

/// Which requests go through which proxy. The URLs may contain a password, so `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The text that names it.
    text: Hidden,
    /// For requests to `http://`.
    http: Option<Url>,
    /// For requests to `https://`.
    https: Option<Url>,
    /// Hosts, networks and domains that are reached without a proxy, as `NO_PROXY` lists them.
    direct: String,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").finish_non_exhaustive()
    }
}

impl Proxy {
    /// Parses `environment`, or the URL of a proxy for all requests. `variable` looks up a variable of the environment.
    /// `None` if the environment names no proxy.
    ///
    /// # Errors
    /// When the text, or a variable, is not the URL of a proxy. The message repeats no URL.
    pub fn parse(text: &Hidden, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let text = text.clone();
        if text.expose() != FROM_ENVIRONMENT {
            let url = url(text.expose())?;
            return Ok(Some(Self { text, http: Some(url.clone()), https: Some(url), direct: String::new() }));
        }
        let named = |name: &str| {
            [name.to_owned(), name.to_ascii_uppercase()].into_iter().find_map(|name| {
                let value = variable(&name)?.trim().to_owned();
                (!value.is_empty()).then_some((name, value))
            })
        };
        let proxy = |name: &str| match named(name).or_else(|| named("all_proxy")) {
            Some((name, value)) => with_scheme(&value).map(Some).map_err(|why| format!("{name} {why}")),
            None => Ok(None),
        };
        let (http, https) = (proxy("http_proxy")?, proxy("https_proxy")?);
        let direct = named("no_proxy").map_or_else(String::new, |(_, hosts)| hosts);
        Ok((http.is_some() || https.is_some()).then_some(Self { text, http, https, direct }))
    }

    /// Replaces the proxy if its file names another one; returns whether it did. Blocks.
    pub fn renew(&mut self) -> bool {
        let now = self.text.renewed().and_then(|text| Self::parse(&text, |_| None).ok().flatten());
        now.map(|now| *self = now).is_some()
    }

    /// Adds the proxies to a client that has none.
    pub(super) fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, String> {
        let invalid = |_| "the URL of the proxy cannot be used".to_owned();
        for (url, of) in [
            (&self.http, reqwest::Proxy::http as fn(Url) -> reqwest::Result<reqwest::Proxy>),
            (&self.https, reqwest::Proxy::https),
        ] {
            if let Some(url) = url {
                builder = builder.proxy(of(url.clone()).map_err(invalid)?.no_proxy(NoProxy::from_string(&self.direct)));
            }
        }
        Ok(builder)
    }
}

/// A variable may lack the scheme, as for curl.
fn with_scheme(text: &str) -> Result<Url, &'static str> {
    if text.contains("://") { url(text) } else { url(&format!("http://{text}")) }
}

fn url(text: &str) -> Result<Url, &'static str> {
    const FORM: &str = "must be \"environment\" or the URL of a proxy, such as http://proxy.example.net:3128 or socks5h://proxy.example.net:1080; a user and a \
                        password are written before the host, with % and two hexadecimal digits for special characters";
    let url = Url::parse(text).map_err(|_| FORM)?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    match url.scheme() {
        "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h" if url.has_host() && is_bare => Ok(url),
        _ => Err(FORM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Option<Proxy>, String> {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Proxy::parse(&FROM_ENVIRONMENT.into(), find)
    }

    fn shown(url: Option<&Url>) -> Option<&str> {
        url.map(Url::as_str)
    }

    #[test]
    fn environment_is_read_only_when_asked_for() {
        let named = Proxy::parse(&"http://one:3128".into(), |_| Some("http://two".to_owned())).unwrap().unwrap();
        assert_eq!(shown(named.https.as_ref()), Some("http://one:3128/"));
        let variables = [("HTTPS_PROXY", "proxy:1"), ("all_proxy", "http://other:2"), ("no_proxy", "a.example")];
        let proxy = from(&variables).unwrap().unwrap();
        assert_eq!(shown(proxy.http.as_ref()), Some("http://other:2/"));
        assert_eq!(shown(proxy.https.as_ref()), Some("http://proxy:1/"));
        assert_eq!(proxy.direct, "a.example");
        assert_eq!(from(&[("http_proxy", " "), ("no_proxy", "x")]), Ok(None));
    }

    #[test]
    fn invalid_proxy_is_rejected_without_showing_it() {
        for text in ["", "hush", "ftp://me:hush@h", "socks6://me:hush@h", "http://me:hush@h/path", "http://:hush@"] {
            let why = Proxy::parse(&text.into(), |_| None).unwrap_err();
            assert!(!why.contains("hush"), "{why}");
            let why = from(&[("HTTPS_PROXY", &format!("nonsense://{text}"))]).unwrap_err();
            assert!(why.starts_with("HTTPS_PROXY must be") && !why.contains("hush"), "{why}");
        }
        let proxy = Proxy::parse(&"http://me:hush@h".into(), |_| None).unwrap();
        assert!(!format!("{proxy:?}").contains("hush"));
    }
}
