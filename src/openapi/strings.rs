//! What strings look like, for the description alone: `#[schemars(with = "strings::Address")]`
//! beside a `String` tells clients what it may be. What is said here refuses nothing by itself.

use std::borrow::Cow;

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema, json_schema};

/// The characters that a name can have. Which of those beyond ASCII are letters, no pattern says that
/// every library for patterns reads.
macro_rules! name {
    () => {
        r"[0-9A-Za-z_.\-\u00aa-\uffff]+"
    };
}

/// A UUID.
macro_rules! uuid {
    () => {
        "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
    };
}

macro_rules! strings {
    ($($(#[$about:meta])* $name:ident { $($key:literal: $value:expr),* $(,)? })*) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", $($key: $value),*})
            }
        }
    )*};
}

strings! {
    /// A user's name.
    Name { "pattern": concat!("^", name!(), "$"), "minLength": 1, "maxLength": 32 }

    /// A user's name, with or without `@`.
    Mention { "pattern": concat!("^@?", name!(), "$"), "minLength": 1, "maxLength": 33 }

    /// `common`, `@name` or `room:UUID`.
    Address { "pattern": concat!("^(common|@", name!(), "|room:", uuid!(), ")$"), "maxLength": 41 }

    /// A text that says something.
    Text { "minLength": 1 }

    /// A moment (RFC 3339).
    Moment { "format": "date-time" }

    /// An id of 32 hexadecimal digits (RFC 9562).
    Uuid { "format": "uuid" }
}
