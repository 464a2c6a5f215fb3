//! Request targets (RFC 9112, section 3.2) and `Host` (RFC 9110, section 7.2).

use std::net::Ipv6Addr;

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};

use super::problem::malformed;
use super::{Problem, path};

/// Reads a target in origin-form, absolute-form, or for `OPTIONS` asterisk-form. The path is valid
/// percent-encoded UTF-8. `CONNECT`, which has a form of its own, does not come here.
pub(super) fn parse(method: &Method, raw: &[u8]) -> Result<Uri, Problem> {
    let visible = raw
        .iter()
        .all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    let text = std::str::from_utf8(raw)
        .ok()
        .filter(|_| visible)
        .ok_or_else(|| {
            malformed("the request target has bytes that are to be percent-encoded, or a fragment")
        })?;
    if text == "*" {
        return match *method {
            Method::OPTIONS => Ok(Uri::from(PathAndQuery::from_static("*"))),
            _ => Err(malformed("the request target * is for OPTIONS only")),
        };
    }
    if text.starts_with('/') {
        return Ok(Uri::from(path_and_query(text)?));
    }
    let wrong = || malformed("the request target is neither a path nor an http or https URI");
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::HTTP,
        "https" => Scheme::HTTPS,
        _ => return Err(wrong()),
    };
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if !is_authority(authority) {
        return Err(malformed(
            "the request target's authority is not a host and a port",
        ));
    }
    let rest = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(Authority::try_from(authority).map_err(|_| wrong())?);
    parts.path_and_query = Some(path_and_query(&rest)?);
    Uri::from_parts(parts).map_err(|_| wrong())
}

fn path_and_query(text: &str) -> Result<PathAndQuery, Problem> {
    let path = text.split_once('?').map_or(text, |(path, _)| path);
    let allowed = |byte| is_unreserved_or_sub_delim(byte) || b":@/%".contains(&byte);
    if !path.bytes().all(allowed) {
        return Err(malformed(
            "the path has characters that are to be percent-encoded",
        ));
    }
    if path::normal(path).is_none() {
        return Err(malformed("the path is not percent-encoded UTF-8"));
    }
    PathAndQuery::try_from(text).map_err(|error| {
        // What it refuses here beside its own bound is a character of the query.
        if text.len() >= usize::from(u16::MAX) {
            Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", error.to_string())
        } else {
            malformed("the query has characters that are to be percent-encoded")
        }
    })
}

/// Holds a head to its `Host`: exactly one that is valid, or in HTTP/1.0 none. For an
/// absolute-form target the field becomes the target's authority, which goes before it (RFC 9112,
/// section 3.2.2).
pub(super) fn check_host(
    version: Version,
    target: &Uri,
    headers: &mut HeaderMap,
) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => {}
        (None, _) => return Err(malformed("HTTP/1.1 needs one Host field")),
        (Some(_), Some(_)) => return Err(malformed("there is more than one Host field")),
        (Some(host), None) => {
            let valid = match host.to_str() {
                Ok("") => target.authority().is_none(),
                Ok(host) => is_authority(host),
                Err(_) => false,
            };
            if !valid {
                return Err(malformed("the Host field is not a host and a port"));
            }
        }
    }
    if let Some(authority) = target.authority() {
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| malformed("the request target's authority is not a host and a port"))?;
        headers.insert(HOST, host);
    }
    Ok(())
}

/// `uri-host [ ":" port ]`, the host not empty (RFC 9110, sections 4.2.1 and 7.2). User
/// information is no part of it. A comma, which the grammar has, is refused: it is how two fields
/// look that something on the way made one.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, rest))) => {
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            match rest.strip_prefix(':') {
                Some(port) => (address, port),
                None if rest.is_empty() => (address, ""),
                None => return false,
            }
        }
        Some(None) => return false,
        None => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            let allowed = |byte| (is_unreserved_or_sub_delim(byte) && byte != b',') || byte == b'%';
            if host.is_empty() || !host.bytes().all(allowed) || path::decode(host).is_none() {
                return false;
            }
            (host, port)
        }
    };
    let port_is_valid = port.is_empty()
        || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    !host.is_empty() && port_is_valid
}

/// RFC 3986, sections 2.2 and 2.3.
fn is_unreserved_or_sub_delim(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_in_their_three_forms() {
        for (raw, path, query) in [
            ("/", "/", None),
            ("/a/b?c=d", "/a/b", Some("c=d")),
            ("//a", "//a", None),
            ("/..?", "/..", Some("")),
            ("/%D0%BC?q=a|b[1]", "/%D0%BC", Some("q=a|b[1]")),
            ("/:@!$&'()*+,;=-._~", "/:@!$&'()*+,;=-._~", None),
            ("http://host/p?q", "/p", Some("q")),
            ("HTTP://host:80", "/", None),
            ("https://[::1]:8000?q", "/", Some("q")),
        ] {
            let uri = parse(&Method::GET, raw.as_bytes()).unwrap();
            assert_eq!((uri.path(), uri.query()), (path, query), "{raw}");
        }
        assert_eq!(parse(&Method::OPTIONS, b"*").unwrap().path(), "*");
    }

    #[test]
    fn a_target_that_is_none_is_refused() {
        // RFC 9112, 3.2: "A server that receives an invalid request-line SHOULD respond with
        // either a 400 (Bad Request) error or a 301".
        for raw in [
            "",
            "a",
            "*",
            "host:80",
            "?q",
            "/a#b",
            "/a\"b",
            "/a<b",
            "/a\\b",
            "/a{b}",
            "/a|b",
            "/%",
            "/%f",
            "/%zz",
            "/%ff",
            "/é",
            "/a?é",
            "/a\x7f",
            "/a\t",
            "ftp://host/",
            "http:/host/",
            "http://",
            "http:///a",
            "http://user@host/",
            "http://ho st/",
            "http://host:x/",
            "http://host:65536/",
            "http://[::1/",
            "http://[1]/",
            "http://host/%ff",
            "/[",
            "/a^",
        ] {
            let refused = parse(&Method::GET, raw.as_bytes()).unwrap_err();
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{raw}");
        }
    }

    fn host(version: Version, target: &'static str, hosts: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        check_host(version, &Uri::from_static(target), &mut headers).ok()?;
        Some(
            headers
                .get(HOST)
                .map_or("none", |host| host.to_str().unwrap())
                .to_owned(),
        )
    }

    #[test]
    fn exactly_one_valid_host_is_taken() {
        for value in [
            "h",
            "h:80",
            "h:",
            "a.b-c_d~",
            "127.0.0.1:8000",
            "[::1]",
            "[::1]:80",
            "%41",
            "",
        ] {
            assert_eq!(
                host(Version::HTTP_11, "/", &[value]).as_deref(),
                Some(value)
            );
        }
        assert_eq!(host(Version::HTTP_10, "/", &[]).as_deref(), Some("none"));
        // RFC 9112, 3.2.2: "the origin server MUST ignore the received Host header field (if any)
        // and instead use the host information of the request-target".
        assert_eq!(
            host(Version::HTTP_11, "http://a:1/", &["b"]).as_deref(),
            Some("a:1")
        );
        assert_eq!(
            host(Version::HTTP_10, "http://a:1/", &[]).as_deref(),
            Some("a:1")
        );
    }

    #[test]
    fn a_missing_doubled_or_invalid_host_is_refused() {
        // RFC 9112, 3.2: "A server MUST respond with a 400 (Bad Request) status code to any
        // HTTP/1.1 request message that lacks a Host header field and to any request message that
        // contains more than one Host header field line or a Host header field with an invalid
        // field value."
        assert_eq!(host(Version::HTTP_11, "/", &[]), None);
        assert_eq!(host(Version::HTTP_11, "/", &["a", "a"]), None);
        assert_eq!(host(Version::HTTP_10, "/", &["a", "a"]), None);
        assert_eq!(host(Version::HTTP_11, "http://a/", &[""]), None);
        for value in [
            "a b", "a, b", "a,b", "u@h", "h:x", "h:1:2", ":80", "h/", "http://h", "[::1", "[::1]x",
            "::1", "h:65536", "h:+1", "[h]", "%", "%4", "h?", "h#", "\"h\"", "[]",
        ] {
            assert_eq!(host(Version::HTTP_11, "/", &[value]), None, "{value}");
            assert_eq!(host(Version::HTTP_10, "/", &[value]), None, "{value}");
        }
    }
}
