//! The matrix as docs/security.md shows it.

use std::path::Path;

/// The columns of the matrix, in their order.
pub const ROLES: [&str; 5] = ["nobody", "stranger", "member", "owner", "banned"];

/// One call, and what each of [`ROLES`] is answered.
#[derive(Debug)]
pub struct Row {
    /// `METHOD /path`, as the API's description has it.
    pub call: String,
    /// What it is called about.
    pub about: String,
    /// Whose it is, a feature or `core`, and what else it needs.
    pub feature: String,
    pub cells: Vec<String>,
}

/// All rows of the matrix.
pub fn rows() -> Vec<Row> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    let mut lines = page
        .lines()
        .skip_while(|line| !line.starts_with("| call | about |"));
    let head = cells(lines.next().unwrap_or_default());
    assert_eq!(head.get(3..), Some(&ROLES.map(str::to_owned)[..]));
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(row).collect()
}

fn cells(line: &str) -> Vec<String> {
    let cells = line.trim_matches('|').split('|');
    cells.map(|cell| cell.trim().to_owned()).collect()
}

fn row(line: &str) -> Row {
    let mut cells = cells(line).into_iter();
    let mut next = || cells.next().unwrap_or_default();
    let (call, about, feature) = (next(), next(), next());
    let cells: Vec<String> = cells.collect();
    assert_eq!(cells.len(), ROLES.len(), "{line}");
    Row {
        call: call.trim_matches('`').to_owned(),
        about,
        feature,
        cells,
    }
}
