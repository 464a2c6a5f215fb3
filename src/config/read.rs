//! From the text of a file to tables in which every setting is known, allowed and filled in.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::FeatureTable;
use super::error::{Fault, cut, plain, position, shown_key};
use crate::settings::{Field, quoted};

/// What a file says, checked, with the defaults for what it does not say.
pub(super) struct Tables {
    /// The core's tables.
    pub core: BTreeMap<&'static str, toml::Table>,
    /// The features' tables, without `enabled`.
    pub features: BTreeMap<&'static str, (bool, toml::Table)>,
}

/// Reads a file; on failure says every fault that was found, in the file's order.
pub(super) fn read(
    text: &str,
    file: &str,
    core: &[FeatureTable],
    features: &[FeatureTable],
) -> Result<Tables, Vec<Fault>> {
    let mut reader = Reader {
        text,
        file,
        faults: Vec::new(),
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        reader.not_toml(&errors);
        return Err(reader.faults);
    }
    let tables = reader.document(document, core, features);
    if reader.faults.is_empty() {
        return Ok(tables);
    }
    let mut faults = reader.faults;
    faults.sort_by_key(|fault| (fault.line, fault.column));
    Err(faults)
}

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn fault(&mut self, at: Range<usize>, key: &str, message: String) {
        let (line, column) = position(self.text.as_bytes(), at.start);
        self.faults.push(Fault {
            file: self.file.to_owned(),
            line,
            column,
            key: key.to_owned(),
            message: cut(message),
        });
    }

    /// One broken character often breaks what follows on its line, so a line is named once.
    fn not_toml(&mut self, errors: &[toml::de::Error]) {
        for error in errors {
            let at = error.span().unwrap_or(self.text.len()..self.text.len());
            let what = self.text.get(at.clone()).unwrap_or_default().trim();
            let (key, message) = if error.message().starts_with("duplicate key") {
                let message = "stands here a second time; a key and a table stand once";
                (shown_key(what), message.to_owned())
            } else if what.is_empty() && error.message().starts_with("string values") {
                let message = "is not TOML: a value is missing after the =";
                (String::new(), message.to_owned())
            } else {
                (String::new(), format!("is not TOML: {}", error.message()))
            };
            self.fault(at, &key, message);
        }
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        self.faults.dedup_by_key(|fault| fault.line);
    }

    fn document(
        &mut self,
        document: Spanned<DeTable<'a>>,
        core: &[FeatureTable],
        features: &[FeatureTable],
    ) -> Tables {
        let mut given_core = BTreeMap::new();
        let mut given_features = BTreeMap::new();
        for (key, value) in document.into_inner() {
            let name: &str = key.get_ref();
            if let Some(info) = core.iter().find(|info| info.name == name) {
                if let Some(mut table) = self.table(info.name, name, value) {
                    for inner in inner_tables(info, core) {
                        let given = table.get_mut().remove(inner.key);
                        let given = given
                            .and_then(|given| self.table(inner.info.name, inner.info.name, given));
                        given_core.extend(given.map(|given| (inner.info.name, given)));
                    }
                    given_core.insert(info.name, table);
                }
            } else if name == "features" {
                if let Some(table) = self.table("features", "features.NAME", value) {
                    given_features = self.known_features(table.into_inner(), features);
                }
            } else {
                let message = unknown_table(name, core, features);
                self.fault(key.span(), &shown_key(name), message);
            }
        }
        Tables {
            core: core
                .iter()
                .map(|info| {
                    let given = given_core.remove(info.name);
                    let inner: Vec<_> = inner_tables(info, core).map(|inner| inner.key).collect();
                    (info.name, self.settings(info.name, info, given, &inner))
                })
                .collect(),
            features: features
                .iter()
                .map(|info| {
                    let given = given_features.remove(info.name);
                    (info.name, self.feature(info, given))
                })
                .collect(),
        }
    }

    /// The table that a key must hold, `header` being how it is opened.
    fn table(
        &mut self,
        path: &str,
        header: &str,
        value: Spanned<DeValue<'a>>,
    ) -> Option<Spanned<DeTable<'a>>> {
        let at = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Spanned::new(at, table)),
            DeValue::Array(items) if items.iter().all(|item| item.get_ref().is_table()) => {
                let message = format!("is one table: write [{header}], not [[{header}]]");
                self.fault(at, path, message);
                None
            }
            _ => {
                let message = format!("is a table: write [{header}] and its settings below it");
                self.fault(at, path, message);
                None
            }
        }
    }

    fn known_features(
        &mut self,
        tables: DeTable<'a>,
        features: &[FeatureTable],
    ) -> BTreeMap<&'static str, Spanned<DeTable<'a>>> {
        let mut known = BTreeMap::new();
        for (key, value) in tables {
            let name: &str = key.get_ref();
            let path = format!("features.{}", shown_key(name));
            match features.iter().find(|info| info.name == name) {
                Some(info) => {
                    if let Some(table) = self.table(&path, &path, value) {
                        known.insert(info.name, table);
                    }
                }
                None => {
                    let mut names: Vec<_> = features.iter().map(|info| info.name).collect();
                    names.sort_unstable();
                    let message = unknown("feature", name, &names, "Known features");
                    self.fault(key.span(), &path, message);
                }
            }
        }
        known
    }

    /// A feature's table, of which the core takes `enabled` for itself.
    fn feature(
        &mut self,
        info: &FeatureTable,
        given: Option<Spanned<DeTable<'a>>>,
    ) -> (bool, toml::Table) {
        let path = format!("features.{}", info.name);
        let mut enabled = info.on;
        let given = given.map(|mut table| {
            if let Some(value) = table.get_mut().remove("enabled") {
                match value.get_ref().as_bool() {
                    Some(told) => enabled = told,
                    None => self.fault(
                        value.span(),
                        &format!("{path}.enabled"),
                        "must be true or false".to_owned(),
                    ),
                }
            }
            table
        });
        (enabled, self.settings(&path, info, given, &["enabled"]))
    }

    /// Reads a table key by key, so that every fault has its place, then as a whole.
    fn settings(
        &mut self,
        path: &str,
        info: &FeatureTable,
        given: Option<Spanned<DeTable<'a>>>,
        also_known: &[&'static str],
    ) -> toml::Table {
        let mut good = toml::Table::new();
        let mut places = BTreeMap::new();
        let mut at = 0..0;
        if let Some(table) = given {
            at = table.span();
            for (key, value) in table.into_inner() {
                let name: &str = key.get_ref();
                let Some(field) = info.fields.iter().find(|field| field.name == name) else {
                    let names: Vec<_> = also_known
                        .iter()
                        .copied()
                        .chain(info.fields.iter().map(|field| field.name))
                        .collect();
                    let message = unknown("setting", name, &names, &format!("Known in [{path}]"));
                    self.fault(key.span(), &format!("{path}.{}", shown_key(name)), message);
                    continue;
                };
                let place = value.span();
                if let Some(value) = self.setting(path, info, field, value) {
                    good.insert(name.to_owned(), value);
                    places.insert(name.to_owned(), place);
                }
            }
        }
        (info.read)(good).unwrap_or_else(|problems| {
            for problem in problems {
                let place = places.get(&problem.key).unwrap_or(&at).clone();
                let key = match problem.key.as_str() {
                    "" => path.to_owned(),
                    key => format!("{path}.{key}"),
                };
                self.fault(place, &key, problem.message);
            }
            toml::Table::new()
        })
    }

    fn setting(
        &mut self,
        path: &str,
        info: &FeatureTable,
        field: &Field,
        value: Spanned<DeValue<'a>>,
    ) -> Option<toml::Value> {
        let at = value.span();
        let key = format!("{path}.{}", field.name);
        let value = match toml::Value::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => value,
            Err(error) => {
                self.fault(at, &key, plain(error.message()));
                return None;
            }
        };
        let alone = toml::Table::from_iter([(field.name.to_owned(), value.clone())]);
        let Err(problems) = (info.read)(alone) else {
            return Some(value);
        };
        let mut wrong: Vec<_> = problems
            .into_iter()
            .filter(|problem| problem.key == field.name || problem.key.is_empty())
            .collect();
        if wrong.is_empty() {
            // What is wrong lies in another setting's default; reading the whole says so.
            return Some(value);
        }
        for problem in &mut wrong {
            if let Some(default) = info.defaults().get(field.name) {
                let default = cut(default.to_string());
                problem.message = format!("{} (the default is {default})", problem.message);
            }
            self.fault(at.clone(), &key, std::mem::take(&mut problem.message));
        }
        None
    }
}

/// A table of the core's that lies in another, as `[server.tls]` does in `[server]`.
struct Inner<'a> {
    key: &'static str,
    info: &'a FeatureTable,
}

fn inner_tables<'a>(
    outer: &FeatureTable,
    core: &'a [FeatureTable],
) -> impl Iterator<Item = Inner<'a>> {
    let outer = outer.name;
    core.iter().filter_map(move |info| {
        let (table, key) = info.name.split_once('.')?;
        (table == outer).then_some(Inner { key, info })
    })
}

/// Says that nothing has this name, which has the nearest, and which there are.
fn unknown(kind: &str, name: &str, known: &[&str], heading: &str) -> String {
    let mut message = format!("there is no {kind} {}", quoted(name));
    if let Some(nearest) = nearest(name, known) {
        message.push_str(&format!("; did you mean \"{nearest}\"?"));
    } else {
        message.push('.');
    }
    let list = match known {
        [] => "none".to_owned(),
        known => known.join(", "),
    };
    format!("{message} {heading}: {list}")
}

/// A table of the top that nobody knows: perhaps a slip of the pen, or a setting or a feature
/// in the wrong place.
fn unknown_table(name: &str, core: &[FeatureTable], features: &[FeatureTable]) -> String {
    if features.iter().any(|info| info.name == name) {
        return format!("is a feature: write [features.{name}]");
    }
    let holder = core
        .iter()
        .find(|info| info.fields.iter().any(|field| field.name == name));
    if let Some(info) = holder {
        let table = info.name;
        return format!("is a setting of [{table}]: write it below that line");
    }
    let mut known: Vec<_> = core.iter().map(|info| info.name).collect();
    known.push("features");
    unknown("table", name, &known, "Known tables")
}

fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    // Below this, names have little more than a letter in common.
    const ALIKE: f64 = 0.7;
    if name.len() > 100 {
        return None;
    }
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), *known))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
