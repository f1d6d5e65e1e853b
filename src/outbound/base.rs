//! The base URL of a service, which may have a path.

use reqwest::Url;

/// The URL of a service, to which the paths of its API are appended. It may have a path, for a service behind a proxy.
///
/// # Errors
/// The error in the URL. The message does not repeat the URL, because it may contain a password.
pub fn base_url(text: &str) -> Result<Url, &'static str> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err("must begin with http:// or https://");
    }
    let url = Url::parse(text).map_err(|_| "must name a host, such as http://127.0.0.1:8086")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user or a password; use the key for the token");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query");
    }
    if url.port() == Some(0) {
        return Err("must not contain port 0");
    }
    Ok(url)
}

/// A URL below a base URL.
#[must_use]
pub fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_url_may_have_a_path_and_nothing_else() {
        for (bad, part) in [
            ("h:8086", "begin with"),
            ("http://", "name a host"),
            ("http://h:99999", "name a host"),
            ("http://me:hush@h", "password"),
            ("http://h/?q=hush", "query"),
            ("http://h#hush", "query"),
        ] {
            let why = base_url(bad).unwrap_err();
            assert!(why.contains(part) && !why.contains("hush"), "{bad}: {why}");
        }
        for (good, write) in [
            ("http://h:8086", "http://h:8086/write"),
            ("https://[::1]/", "https://[::1]/write"),
            ("https://h/db/influx/", "https://h/db/influx/write"),
        ] {
            assert_eq!(below(&base_url(good).unwrap(), "/write").as_str(), write);
        }
    }
}
