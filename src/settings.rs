//! What settings are made of: the values [`Period`] and [`Size`], and [`Table`], a table of
//! settings that is declared with [`settings!`](crate::settings!), where each setting's
//! default and documentation stand beside it. `config` reads and prints such tables.

mod period;
mod size;
mod table;

pub use period::{Period, PeriodError};
pub use size::{Size, SizeError};
pub use table::{Field, Problem, Rule, Table, field_name};

/// Quotes what somebody wrote for an error message, cut short where it is long.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}
