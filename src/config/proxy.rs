//! Reads the proxy from the configuration, or from the environment if the configuration says `env`.
//!
//! HTTP clients do the same, but some read `HTTP_PROXY`, which a CGI request can set, and keep copies of the
//! password.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::address::Address;
use super::environment::Variables;
use crate::error::Problem;
use crate::http::Proxy;

const FORM: &str = "http://USER:PASSWORD@HOST:PORT";

/// Parses a proxy's URL, the value of `key`.
pub(super) fn parse(url: &str, key: &str) -> Result<Proxy, Problem> {
    let address = Address::parse(url, key, FORM)?;
    if !address.scheme.eq_ignore_ascii_case("http") {
        return Err(Problem::new(key, format!("its scheme must be http; its form is {FORM}")));
    }
    if !matches!(address.path, "" | "/") {
        return Err(Problem::new(key, format!("has a path; its form is {FORM}")));
    }
    let authorization = address.credentials.map(|(user, password)| {
        let pair = Zeroizing::new(format!("{user}:{}", *password));
        let encoded = Zeroizing::new(BASE64.encode(pair.as_bytes()));
        Zeroizing::new(format!("Basic {}", *encoded))
    });
    Ok(Proxy { host: address.host, port: address.port.unwrap_or(80), authorization })
}

/// Returns the environment's proxy for a host. Ignores `HTTP_PROXY` in capitals: under CGI a
/// request header can set it.
pub(super) fn from_environment(ssl: bool, host: &str, variable: Variables<'_>) -> Result<Option<Proxy>, Problem> {
    for name in ["no_proxy", "NO_PROXY"] {
        if variable(name)?.is_some_and(|list| is_exempt(host, &list)) {
            return Ok(None);
        }
    }
    let names: &[&str] = match ssl {
        true => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        false => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    for name in names {
        if let Some(url) = variable(name)?.map(Zeroizing::new) {
            // These variables often omit the scheme.
            let url = if url.contains("://") { url } else { Zeroizing::new(format!("http://{}", *url)) };
            return parse(&url, name).map(Some);
        }
    }
    Ok(None)
}

/// Returns whether `list`, which is `*` or comma-separated names and domains, contains the host.
/// Addresses have no domains.
fn is_exempt(host: &str, list: &str) -> bool {
    let is_address = host.parse::<IpAddr>().is_ok();
    list.split(',').map(|entry| entry.trim().trim_start_matches("*.").trim_start_matches('.')).any(|entry| {
        let domain = host.len().checked_sub(entry.len()).and_then(|at| host.split_at_checked(at));
        entry == "*"
            || domain.is_some_and(|(before, domain)| {
                !entry.is_empty()
                    && domain.eq_ignore_ascii_case(entry)
                    && (before.is_empty() || (before.ends_with('.') && !is_address))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_url_has_a_host_and_optional_credentials() {
        let proxy = parse("http://us%40er:p%3Aw@proxy.local:3128/", "proxy").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.local", 3128));
        assert_eq!(proxy.authorization.as_ref().unwrap().as_str(), "Basic dXNAZXI6cDp3");
        assert_eq!(format!("{proxy:?}"), "proxy.local:3128");
        for wrong in
            ["", "proxy:1", "https://proxy", "socks5://proxy", "http://user@proxy", "http://proxy/x", "http://proxy:0"]
        {
            assert_eq!(parse(wrong, "proxy").unwrap_err().argument, "proxy", "{wrong}");
        }
    }

    #[test]
    fn the_environment_is_read_except_http_proxy_in_capitals() {
        let find = |ssl, pairs: &'static [(&str, &str)]| {
            let variable =
                |name: &str| Ok(pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()));
            from_environment(ssl, "api.example.org", &variable).unwrap().map(|proxy| proxy.host)
        };
        assert_eq!(find(true, &[("HTTPS_PROXY", "http://a:1")]).as_deref(), Some("a"));
        assert_eq!(find(true, &[("https_proxy", "b:1"), ("HTTPS_PROXY", "http://a:1")]).as_deref(), Some("b"));
        assert_eq!(find(false, &[("HTTP_PROXY", "http://a:1")]), None);
        assert_eq!(find(false, &[("http_proxy", "http://a:1")]).as_deref(), Some("a"));
        assert_eq!(find(true, &[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "x, .Example.org")]), None);
        assert_eq!(find(true, &[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "ample.org,")]).as_deref(), Some("a"));
        assert_eq!(find(true, &[("ALL_PROXY", "http://a:1"), ("no_proxy", "*")]), None);
    }
}
