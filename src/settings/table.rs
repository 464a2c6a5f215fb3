//! Tables of settings, and the macro that declares them.

use std::fmt::{Debug, Display};
use std::ops::{RangeFrom, RangeInclusive};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A table of settings, as it stands in config.toml. Declare it with
/// [`settings!`](crate::settings!).
///
/// The unit type is the table without settings, for a feature that has none.
pub trait Table:
    Serialize + DeserializeOwned + Default + Clone + Debug + Send + Sync + 'static
{
    /// What the table is about, a paragraph.
    const ABOUT: &'static str;

    /// Its settings, in the order they are shown. `enabled` cannot be one of a feature's: that
    /// key is the core's, which switches the feature on and off by it.
    const FIELDS: &'static [Field];

    /// The settings whose values are of the right type, but not allowed.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Reads the table; what it does not mention has its default.
    ///
    /// # Errors
    /// An unknown key, or a value of another type.
    fn from_table(table: toml::Table) -> Result<Self, toml::de::Error> {
        table.try_into()
    }

    /// Writes the table, each setting included.
    ///
    /// # Errors
    /// A value that TOML has no form for, such as an integer beyond 64 bits.
    fn to_table(&self) -> Result<toml::Table, toml::ser::Error> {
        toml::Table::try_from(self)
    }
}

/// One setting of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its key in the table.
    pub name: &'static str,
    /// What it means, with its unit and limits, a paragraph.
    pub about: &'static str,
}

/// A setting whose value is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting's key.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl Table for () {
    const ABOUT: &'static str = "There is nothing to set.";
    const FIELDS: &'static [Field] = &[];

    // TOML has no unit, so serde's way through it is closed to `()`.
    fn from_table(table: toml::Table) -> Result<(), toml::de::Error> {
        match table.keys().next() {
            None => Ok(()),
            Some(key) => Err(serde::de::Error::unknown_field(key, &[])),
        }
    }

    fn to_table(&self) -> Result<toml::Table, toml::ser::Error> {
        Ok(toml::Table::new())
    }
}

/// What a setting's value is held to, beyond its type: a range, `1..=200` or `1..`, or a
/// function that says what is wrong with the value and what is allowed.
pub trait Rule<T> {
    /// What is wrong with the value, if anything.
    fn broken(&self, value: &T) -> Option<String>;
}

impl<T: PartialOrd + Display> Rule<T> for RangeInclusive<T> {
    fn broken(&self, value: &T) -> Option<String> {
        (!self.contains(value)).then(|| {
            format!(
                "must be from {} to {}, not {value}",
                self.start(),
                self.end()
            )
        })
    }
}

impl<T: PartialOrd + Display> Rule<T> for RangeFrom<T> {
    fn broken(&self, value: &T) -> Option<String> {
        (!self.contains(value)).then(|| format!("must be at least {}, not {value}", self.start))
    }
}

impl<T, F: Fn(&T) -> Result<(), String>> Rule<T> for F {
    fn broken(&self, value: &T) -> Option<String> {
        self(value).err()
    }
}

/// The key of a field in TOML: a raw identifier (`r#type`) goes without its prefix.
#[doc(hidden)]
#[must_use]
pub const fn field_name(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        _ => identifier,
    }
}

/// Declares tables of settings, each setting with its documentation and its default beside it,
/// and after `=>` the values that are allowed, where the type allows too many.
///
/// The documentation is what config.toml and `veche features` show, so it is mandatory, is
/// written for those who run the server, and names units and limits.
///
/// ```
/// use veche::settings;
/// use veche::settings::{Period, Table};
///
/// settings! {
///     /// When chairs are put away.
///     pub struct Settings {
///         /// How long a chair stands unused before it is put away.
///         pub after: Period = Period::hours(1) => Period::secs(1)..=Period::days(7),
///         /// How many chairs there are, at least 1.
///         pub chairs: u32 = 40 => 1..,
///         /// What a chair is made of: anything that is named.
///         pub wood: String = "oak".to_owned() => |wood: &String| match wood.is_empty() {
///             true => Err("must not be empty".to_owned()),
///             false => Ok(()),
///         },
///     }
/// }
///
/// assert_eq!(Settings::ABOUT, "When chairs are put away.");
/// assert_eq!(Settings::FIELDS[1].name, "chairs");
/// assert_eq!(Settings::default().after, Period::hours(1));
/// assert!(Settings::default().problems().is_empty());
/// ```
///
/// A table derives `Clone`, `Debug`, `PartialEq`, `Serialize` and `Deserialize`, refuses unknown
/// keys, takes the default for a key that is absent, and implements [`Table`]. Its fields are
/// values that TOML has; for an `Option` whose default is `None` the sample says that it is
/// not set.
#[macro_export]
macro_rules! settings {
    ($(
        $(#[doc = $about:expr])+
        $vis:vis struct $table:ident {
            $(
                $(#[doc = $meaning:expr])+
                $field_vis:vis $field:ident: $type:ty = $default:expr $(=> $rule:expr)?
            ),* $(,)?
        }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            $crate::serde::Serialize,
            $crate::serde::Deserialize,
        )]
        // A path in a string cannot say `$crate`: the package keeps its name in its users.
        #[serde(crate = "veche::serde", default, deny_unknown_fields)]
        // The text is read in config.toml, where an address is not marked up as a link.
        #[allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]
        $vis struct $table {
            $(
                $(#[doc = $meaning])+
                $field_vis $field: $type,
            )*
        }

        impl ::core::default::Default for $table {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::settings::Table for $table {
            const ABOUT: &'static str = ::core::concat!($($about),+).trim_ascii();
            const FIELDS: &'static [$crate::settings::Field] = &[$(
                $crate::settings::Field {
                    name: $crate::settings::field_name(::core::stringify!($field)),
                    about: ::core::concat!($($meaning),+).trim_ascii(),
                },
            )*];

            fn problems(&self) -> ::std::vec::Vec<$crate::settings::Problem> {
                #[allow(unused_mut)]
                let mut problems = ::std::vec::Vec::new();
                $($(
                    if let ::core::option::Option::Some(message) =
                        $crate::settings::Rule::<$type>::broken(&($rule), &self.$field)
                    {
                        problems.push($crate::settings::Problem {
                            key: $crate::settings::field_name(::core::stringify!($field)).into(),
                            message,
                        });
                    }
                )?)*
                problems
            }
        }
    )+};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Period;

    fn odd(n: &u8) -> Result<(), String> {
        match n % 2 {
            1 => Ok(()),
            _ => Err(format!("must be odd, not {n}")),
        }
    }

    crate::settings! {
        /// A table
        /// on two lines.
        pub struct Many {
            /// How long,
            /// at least a second.
            pub after: Period = Period::hours(1) => Period::secs(1)..,
            /// How many, 1 to 9.
            pub count: u8 = 3 => 1..=9,
            /// An odd one.
            odd: u8 = 5 => odd,
            /// A word that Rust has for itself.
            pub r#type: String = "x".to_owned(),
            /// Perhaps.
            pub maybe: Option<u8> = None,
        }

        /// Another in the same place.
        struct Empty {}
    }

    #[test]
    fn docs_and_names_are_gathered() {
        assert_eq!(Many::ABOUT, "A table on two lines.");
        let names: Vec<_> = Many::FIELDS.iter().map(|field| field.name).collect();
        assert_eq!(names, ["after", "count", "odd", "type", "maybe"]);
        assert_eq!(Many::FIELDS[0].about, "How long, at least a second.");
        assert!(Empty::FIELDS.is_empty());
        assert_eq!(Empty::ABOUT, "Another in the same place.");
    }

    #[test]
    fn an_absent_key_has_its_default_and_an_unknown_one_is_refused() {
        let read = Many::from_table(toml::toml! { count = 7 }).unwrap();
        let expected = Many {
            count: 7,
            ..Many::default()
        };
        assert_eq!(read, expected);
        assert!(Many::from_table(toml::toml! { cuont = 7 }).is_err());
        assert!(Empty::from_table(toml::toml! { a = 1 }).is_err());
        assert_eq!(Empty::from_table(toml::Table::new()).unwrap(), Empty {});
    }

    #[test]
    fn what_is_written_is_read_back() {
        for count in 1..=9 {
            let table = Many {
                after: Period::ms(999 * u64::from(count)),
                count,
                maybe: (count > 4).then_some(count),
                ..Many::default()
            };
            assert_eq!(Many::from_table(table.to_table().unwrap()).unwrap(), table);
        }
    }

    #[test]
    fn rules_say_what_is_allowed() {
        assert_eq!(Many::default().problems(), []);
        let bad = Many {
            after: Period::ZERO,
            count: 10,
            odd: 4,
            ..Many::default()
        };
        let said: Vec<_> = bad
            .problems()
            .into_iter()
            .map(|problem| format!("{} {}", problem.key, problem.message))
            .collect();
        let expected = [
            "after must be at least 1s, not 0s",
            "count must be from 1 to 9, not 10",
            "odd must be odd, not 4",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn the_unit_type_is_an_empty_table() {
        assert!(<()>::FIELDS.is_empty());
        assert_eq!(().to_table().unwrap(), toml::Table::new());
        assert!(<()>::from_table(toml::Table::new()).is_ok());
        assert!(<()>::from_table(toml::toml! { a = 1 }).is_err());
    }
}
