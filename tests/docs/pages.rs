//! Pages, and their fenced blocks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// A fenced block of a page.
#[derive(Debug)]
pub struct Block {
    pub line: usize,
    /// What stands after the fence.
    pub kind: String,
    pub text: String,
}

pub fn blocks(page: &str) -> Vec<Block> {
    let text = read(page);
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (line, content) in text.lines().enumerate() {
        match (content.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(kind), None) => {
                open = Some(Block {
                    line: line + 1,
                    kind: kind.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(mut block)) => {
                block.text += content;
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block is not closed");
    blocks
}

/// The words between backticks.
pub fn code(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
