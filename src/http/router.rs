//! Paths to targets.
//!
//! A path is split at each raw `/` and every segment is percent-decoded exactly once: `%2F` within
//! a segment is a `/` inside the parameter, never a separator, and `%252F` is the text `%2F`. A
//! segment of `..` or `.` is an ordinary one, and so is an empty one: nothing is resolved, and
//! `/a//b` or `/a/` is not `/a/b` or `/a`.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderValue, Method};

use super::path;

/// Methods and paths, each with its target.
///
/// A path's segment is literal text or one parameter, `{name}`; `{*rest}` at the end takes one
/// segment or more. Literal text goes before a parameter.
pub struct Router<T> {
    tree: matchit::Router<usize>,
    shapes: HashMap<String, usize>,
    entries: Vec<Entry<T>>,
    everything: HeaderValue,
}

/// All that is routed at the paths of one shape: `/a/{x}` and `/a/{y}` are the same shape.
struct Entry<T> {
    routes: Vec<Route<T>>,
    allow: HeaderValue,
}

struct Route<T> {
    method: Method,
    path: String,
    names: Vec<Arc<str>>,
    target: T,
}

/// What a path and a method lead to.
#[derive(Debug)]
pub enum Found<'a, T> {
    /// The target, and the path's parameters.
    Target {
        /// What was added.
        target: &'a T,
        /// The path's parameters by the names that this target's path gave them.
        params: Params,
    },
    /// The path is known, the method isn't.
    MethodNotAllowed {
        /// The value of the `Allow` field: what is known, sorted, with `HEAD` wherever `GET` is,
        /// and `OPTIONS`. For the path `*`, all methods of the whole router.
        allow: HeaderValue,
    },
    /// The path is unknown.
    NotFound,
}

/// Why a route was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The same method is there at the same path (the names of parameters make no difference).
    #[error("{method} {path} is already routed, as {method} {other}")]
    Duplicate {
        /// The method.
        method: Method,
        /// The path that was to be added.
        path: String,
        /// The path that is there.
        other: String,
    },
    /// The path can not stand beside one that is there.
    #[error("{method} {path} can not be told from {other}")]
    Conflict {
        /// The method that was to be added.
        method: Method,
        /// The path that was to be added.
        path: String,
        /// The path that is there.
        other: String,
    },
    /// The path isn't one.
    #[error("{method} {path}: {reason}")]
    Invalid {
        /// The method that was to be added.
        method: Method,
        /// The path that was to be added.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The parameters of a path, percent-decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(Arc<str>, String)>);

impl Params {
    /// The parameter's text, if the path has one of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Names and texts in the path's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Router<T> {
    /// A router that finds nothing yet.
    pub fn new() -> Self {
        Self {
            tree: matchit::Router::new(),
            shapes: HashMap::new(),
            entries: Vec::new(),
            everything: HeaderValue::from_static("OPTIONS"),
        }
    }

    /// Adds a target. A path begins with `/`, and its literal text stands in it as it is, not
    /// percent-encoded.
    ///
    /// # Errors
    /// [`RouteError`], which names what is wrong, or both of two that conflict.
    pub fn add(&mut self, method: Method, path: &str, target: T) -> Result<(), RouteError> {
        let invalid = |reason: &str| RouteError::Invalid {
            method: method.clone(),
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        if !path.starts_with('/') {
            return Err(invalid("a path begins with /"));
        }
        if path.contains('%') {
            return Err(invalid("the literal text of a path is not percent-encoded"));
        }
        let (shape, names) = shape(path).ok_or_else(|| {
            invalid("a segment is literal text, {name}, or at the end {*name}, each name once")
        })?;
        let index = match self.shapes.get(&shape) {
            Some(&index) => index,
            None => {
                let index = self.entries.len();
                self.tree.insert(path, index).map_err(|error| match error {
                    matchit::InsertError::Conflict { with } => RouteError::Conflict {
                        method: method.clone(),
                        path: path.to_owned(),
                        other: with,
                    },
                    error => invalid(&error.to_string()),
                })?;
                self.entries.push(Entry {
                    routes: Vec::new(),
                    allow: self.everything.clone(),
                });
                self.shapes.insert(shape, index);
                index
            }
        };
        let entry = &mut self.entries[index];
        if let Some(there) = entry.routes.iter().find(|route| route.method == method) {
            return Err(RouteError::Duplicate {
                method,
                path: path.to_owned(),
                other: there.path.clone(),
            });
        }
        entry.routes.push(Route {
            method,
            path: path.to_owned(),
            names,
            target,
        });
        entry.allow = allow(&entry.routes);
        self.everything = allow(self.entries.iter().flat_map(|entry| &entry.routes));
        Ok(())
    }

    /// Finds what `method` and the raw path of a request (`request.uri().path()`) lead to. `HEAD`
    /// finds what `GET` finds, unless it has a target of its own.
    pub fn find(&self, method: &Method, path: &str) -> Found<'_, T> {
        if path == "*" {
            return Found::MethodNotAllowed {
                allow: self.everything.clone(),
            };
        }
        let Some(normal) = path::normal(path) else {
            return Found::NotFound;
        };
        let Ok(found) = self.tree.at(&normal) else {
            return Found::NotFound;
        };
        let entry = &self.entries[*found.value];
        let by = |method: &Method| entry.routes.iter().find(|route| route.method == *method);
        let route = match by(method) {
            None if method == Method::HEAD => by(&Method::GET),
            route => route,
        };
        let Some(route) = route else {
            return Found::MethodNotAllowed {
                allow: entry.allow.clone(),
            };
        };
        let mut params = Vec::with_capacity(route.names.len());
        for (name, (_, value)) in route.names.iter().zip(found.params.iter()) {
            let Some(value) = path::decode(value) else {
                return Found::NotFound;
            };
            params.push((Arc::clone(name), value.into_owned()));
        }
        Found::Target {
            target: &route.target,
            params: Params(params),
        }
    }
}

/// A path without its parameters' names, and those names. `None` for what is no such path.
fn shape(path: &str) -> Option<(String, Vec<Arc<str>>)> {
    let mut shape = String::with_capacity(path.len());
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        shape.push('/');
        let Some(inner) = segment
            .strip_prefix('{')
            .and_then(|inner| inner.strip_suffix('}'))
        else {
            if segment.contains(['{', '}']) {
                return None;
            }
            shape.push_str(segment);
            continue;
        };
        let name = inner.strip_prefix('*').unwrap_or(inner);
        let catches_all = name.len() < inner.len();
        if name.is_empty()
            || name.contains(['{', '}', '*'])
            || names.iter().any(|known| **known == *name)
            || (catches_all && segments.peek().is_some())
        {
            return None;
        }
        shape.push_str(if catches_all { "{*}" } else { "{}" });
        names.push(name.into());
    }
    Some((shape, names))
}

/// The `Allow` field (RFC 9110, section 10.2.1).
fn allow<'a, T: 'a>(routes: impl IntoIterator<Item = &'a Route<T>>) -> HeaderValue {
    let mut methods: Vec<&str> = routes
        .into_iter()
        .map(|route| route.method.as_str())
        .collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.dedup();
    // A method is a token, so the list is always a valid value.
    HeaderValue::from_str(&methods.join(", "))
        .unwrap_or_else(|_| HeaderValue::from_static("OPTIONS"))
}

#[cfg(test)]
mod tests;
