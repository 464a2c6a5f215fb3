use super::*;

fn router() -> Router<&'static str> {
    let mut router = Router::new();
    for (method, path, target) in [
        (Method::GET, "/status", "status"),
        (Method::GET, "/messages/{id}", "message"),
        (Method::DELETE, "/messages/{message}", "remove"),
        (Method::POST, "/messages/{id}/comments", "comment"),
        (Method::GET, "/rooms/{id}", "room"),
        (Method::POST, "/rooms/new", "new"),
        (Method::DELETE, "/rooms/{room}/members/{name}", "member"),
        (Method::GET, "/pages/{*rest}", "page"),
    ] {
        router.add(method, path, target).unwrap();
    }
    router
}

fn find(method: Method, path: &str) -> Result<(&'static str, Vec<String>), String> {
    match router().find(&method, path) {
        Found::Target { target, params } => Ok((
            *target,
            params
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        )),
        Found::MethodNotAllowed { allow } => Err(allow.to_str().unwrap().to_owned()),
        Found::NotFound => Err("not found".into()),
    }
}

fn target(method: Method, path: &str, name: &'static str, params: &[&str]) {
    let params = params.iter().map(|param| (*param).to_owned()).collect();
    assert_eq!(find(method, path), Ok((name, params)), "{path}");
}

#[test]
fn each_target_gets_the_parameters_by_its_own_names() {
    target(Method::GET, "/status", "status", &[]);
    target(Method::GET, "/messages/7", "message", &["id=7"]);
    target(Method::DELETE, "/messages/7", "remove", &["message=7"]);
    target(
        Method::DELETE,
        "/rooms/r/members/n",
        "member",
        &["room=r", "name=n"],
    );
    target(Method::GET, "/pages/a/b", "page", &["rest=a/b"]);
}

#[test]
fn a_segment_is_decoded_once_and_an_encoded_slash_separates_nothing() {
    target(Method::GET, "/%73tatus", "status", &[]);
    target(Method::GET, "/messages/a%2Fb", "message", &["id=a/b"]);
    target(Method::GET, "/messages/a%252Fb", "message", &["id=a%2Fb"]);
    target(
        Method::GET,
        "/messages/%D0%BC%20%7Bx%7D",
        "message",
        &["id=м {x}"],
    );
    assert_eq!(find(Method::GET, "/messages%2F7"), Err("not found".into()));
    assert_eq!(find(Method::GET, "/messages/%ff"), Err("not found".into()));
}

#[test]
fn dots_and_empty_segments_mean_nothing() {
    target(Method::GET, "/messages/..", "message", &["id=.."]);
    target(Method::GET, "/messages/%2e%2e", "message", &["id=.."]);
    for path in [
        "/messages/../status",
        "//status",
        "/status/",
        "/messages/",
        "/",
        "",
        "status",
    ] {
        assert_eq!(find(Method::GET, path), Err("not found".into()), "{path}");
    }
}

#[test]
fn head_is_wherever_get_is_and_allow_says_so() {
    // RFC 9110, 10.2.1: "An origin server MUST generate an Allow header field in a 405".
    target(Method::HEAD, "/messages/7", "message", &["id=7"]);
    assert_eq!(
        find(Method::POST, "/status"),
        Err("GET, HEAD, OPTIONS".into())
    );
    assert_eq!(
        find(Method::PUT, "/messages/7"),
        Err("DELETE, GET, HEAD, OPTIONS".into())
    );
    assert_eq!(
        find(Method::HEAD, "/messages/7/comments"),
        Err("OPTIONS, POST".into())
    );
    assert_eq!(find(Method::GET, "/rooms/new"), Err("OPTIONS, POST".into()));
    assert_eq!(
        find(Method::OPTIONS, "*"),
        Err("DELETE, GET, HEAD, OPTIONS, POST".into())
    );
}

#[test]
fn a_duplicate_names_both() {
    let error = router()
        .add(Method::GET, "/messages/{other}", "again")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "GET /messages/{other} is already routed, as GET /messages/{id}"
    );
}

#[test]
fn a_path_that_is_none_is_refused() {
    for path in [
        "", "x", "/a%20b", "/{}", "/{a", "/a}", "/{a}{b}", "/x{a}", "/{a}/{a}", "/{*a}/b",
    ] {
        let error = router().add(Method::GET, path, "bad").unwrap_err();
        assert!(
            matches!(error, RouteError::Invalid { .. }),
            "{path}: {error}"
        );
    }
}
