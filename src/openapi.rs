//! `GET /openapi.json`: the API's description, gathered from the routes that the core and the
//! enabled features declare, so that it cannot go stale.

pub(crate) mod schemas;
pub mod strings;

use std::sync::OnceLock;

use bytes::Bytes;
use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::{RecursiveTransform, ReplaceBoolSchemas, Transform};
use serde_json::{Map, Value, json};

use crate::feature::{Field, MakeSchema, Owner, Route, Run};
use schemas::ProblemView;

/// The document, made when it is first asked for and kept from then on: most servers are never
/// asked, and what making it takes of memory would stay.
pub(crate) struct Description {
    make: Box<dyn Fn() -> Value + Send + Sync>,
    text: OnceLock<Bytes>,
}

impl Description {
    /// Will be what `make` makes, which gives the same whenever it is called.
    pub(crate) fn new(make: impl Fn() -> Value + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            text: OnceLock::new(),
        }
    }

    /// Its text. Who asks while it is being made waits for it.
    pub(crate) fn text(&self) -> Bytes {
        let made = self.text.get_or_init(|| (self.make)().to_string().into());
        made.clone()
    }
}

/// The document for these routes, each with the name of its feature or `core`, and for the fields
/// that features add.
pub(crate) fn document(routes: &[(&str, Route)], fields: &[Field]) -> Value {
    let mut settings = SchemaSettings::openapi3();
    // OpenAPI 3.1 is JSON Schema 2020-12.
    settings.meta_schema = None;
    settings.definitions_path = "/components/schemas".into();
    settings.transforms.clear();
    settings.transforms.push(Box::new(plain as fn(&mut Schema)));
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for (owner, route) in routes {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        methods[route.method.as_str().to_lowercase()] = operation(owner, route, &mut generator);
    }
    let problem = generator.subschema_for::<ProblemView>();
    let added: Vec<_> = fields
        .iter()
        .map(|field| (field, (field.schema)(&mut generator)))
        .collect();
    let drafts: Vec<_> = routes
        .iter()
        .filter(|(_, route)| route.drafts)
        .filter_map(|(_, route)| definition(route.body?, &mut generator))
        .collect();
    let mut schemas = generator.take_definitions(true);
    for (field, schema) in added {
        let mut schema = schema.to_value();
        schema["description"] = field.about.into();
        let owners = match field.of {
            Owner::Schema(name) => vec![name.to_owned()],
            Owner::Drafts => drafts.clone(),
        };
        for owner in owners {
            if let Some(owner) = schemas.get_mut(&owner) {
                owner["properties"][field.name] = schema.clone();
            }
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "veche",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A self-hosted chat server.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "problem": {
                    "description": "A refusal, with a stable `code`",
                    "content": {"application/problem+json": {"schema": problem}},
                },
            },
        },
    })
}

/// The same schema in words that more of its readers know.
fn plain(schema: &mut Schema) {
    let mut objects = ReplaceBoolSchemas::default();
    objects.skip_additional_properties = true;
    objects.transform(schema);
    let bound = |schema: &mut Schema| {
        if schema
            .get("format")
            .is_some_and(|format| format == "uint64")
        {
            schema.insert("maximum".into(), u64::MAX.into());
        }
    };
    RecursiveTransform(bound).transform(schema);
}

/// A schema where it is used.
fn used(make: MakeSchema, generator: &mut SchemaGenerator) -> Value {
    let mut schema = make(generator);
    plain(&mut schema);
    schema.to_value()
}

fn operation(owner: &str, route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.about,
        "tags": [owner],
        "parameters": parameters(route, generator),
        "responses": responses(route, generator),
    });
    if let Some(body) = route.body {
        operation["requestBody"] = json!({
            "required": !route.body_optional,
            "content": {"application/json": {"schema": body(generator)}},
        });
    }
    if matches!(route.run, Run::Open(_)) {
        operation["requestBody"] = json!({"required": true, "content": {"*/*": {}}});
    }
    if matches!(route.run, Run::Upload { .. }) {
        let file = json!({"type": "string", "format": "binary"});
        let form = json!({"type": "object", "properties": {"file": file}, "required": ["file"]});
        operation["requestBody"] = json!({
            "required": false,
            "content": {
                "multipart/form-data": {"schema": form},
                "*/*": {"schema": file},
            },
        });
    }
    if route.open {
        operation["security"] = json!([]);
    }
    operation
}

fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '.']).filter(|word| !word.is_empty());
    let path: Vec<_> = words.map(|word| word.trim_matches(['{', '}'])).collect();
    format!(
        "{}_{}",
        route.method.as_str().to_lowercase(),
        path.join("_")
    )
}

fn parameters(route: &Route, generator: &mut SchemaGenerator) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
    });
    let mut parameters: Vec<Value> = in_path.collect();
    if let Some(query) = route.query {
        let schema = inlined(query, generator);
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let properties = schema.get("properties").and_then(Value::as_object).cloned();
        for (name, schema) in properties.unwrap_or_default() {
            parameters.push(json!({
                "name": name,
                "in": "query",
                "required": required.contains(&name.as_str().into()),
                "schema": schema,
            }));
        }
    }
    if route.streams {
        parameters.push(json!({
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The cursor of the last event that arrived; it goes before `after`",
            "schema": {"type": "string"},
        }));
    }
    if route.downloads {
        for (name, about) in [
            ("Range", "One range of bytes"),
            (
                "If-Range",
                "The `ETag` that the range is of; of another it is the whole",
            ),
            ("If-None-Match", "The `ETag` that one has already: 304"),
        ] {
            parameters.push(json!({
                "name": name,
                "in": "header",
                "description": about,
                "schema": {"type": "string"},
            }));
        }
    }
    if matches!(route.run, Run::Fixed(_)) {
        parameters.push(json!({
            "name": "If-None-Match",
            "in": "header",
            "description": "The `ETag` that one has already: 304",
            "schema": {"type": "string"},
        }));
    }
    let decides = matches!(route.run, Run::Write(_) | Run::Upload { .. });
    if route.method == http::Method::POST && !route.open && decides {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "A repeat under the same key gets the first answer again",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[ -~]+$"},
        }));
    }
    parameters
}

/// A schema written out where it is used: a query's fields are parameters of their own.
fn inlined(make: MakeSchema, generator: &mut SchemaGenerator) -> Value {
    let Some(name) = definition(make, generator) else {
        return used(make, generator);
    };
    let found = generator.definitions_mut().remove(&name);
    let mut schema = Schema::try_from(found.unwrap_or_default()).unwrap_or_default();
    plain(&mut schema);
    schema.to_value()
}

/// The name of a schema that is defined once.
fn definition(make: MakeSchema, generator: &mut SchemaGenerator) -> Option<String> {
    let schema = make(generator).to_value();
    let name = schema.get("$ref")?.as_str()?.rsplit('/').next()?;
    Some(name.to_owned())
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut responses = json!({"default": {"$ref": "#/components/responses/problem"}});
    let gives_bytes = route.downloads || matches!(route.run, Run::Fixed(_));
    if gives_bytes {
        responses["304"] = json!({"description": "It is what one has"});
    }
    if route.downloads {
        responses["206"] = json!({"description": "The range", "content": {"*/*": {}}});
    }
    let content = |schema: Value| {
        let mut content = json!({"application/json": {"schema": schema}});
        if route.streams {
            content["text/event-stream"] = json!({"schema": {"type": "string"}});
        }
        content
    };
    for (status, about, schema) in &route.returns {
        let mut response = json!({"description": about});
        if let Some(schema) = schema {
            response["content"] = content(used(*schema, generator));
        } else if gives_bytes && *status == 200 {
            response["content"] = json!({"*/*": {}});
        }
        responses[status.to_string()] = response;
    }
    responses
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_document_is_made_when_it_is_first_asked_for_and_only_then() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let description = Description::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            json!({"openapi": "3.1.0"})
        });
        assert_eq!(made.load(Ordering::Relaxed), 0);
        let first = description.text();
        assert_eq!(first, r#"{"openapi":"3.1.0"}"#);
        assert_eq!(description.text(), first);
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}
