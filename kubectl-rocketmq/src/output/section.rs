//! Sections: a title in a column of its own, beside it lines or a table.

use crate::output::style::Style;
use crate::output::table::Table;
use crate::output::text::width;

/// Spaces between a title and what it stands over.
const GAP: usize = 2;

/// Sections of one page; their titles share a column.
#[derive(Debug)]
pub struct Sections {
    style: Style,
    sections: Vec<(String, Vec<String>)>,
}

impl Sections {
    /// No sections.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self { style, sections: Vec::new() }
    }

    /// Adds a section of one line.
    pub fn line(&mut self, title: impl Into<String>, line: impl Into<String>) {
        self.lines(title, vec![line.into()]);
    }

    /// Adds a section of several lines.
    pub fn lines(&mut self, title: impl Into<String>, lines: Vec<String>) {
        self.sections.push((title.into(), lines));
    }

    /// Adds a section with a table.
    pub fn table(&mut self, title: impl Into<String>, table: &Table) {
        self.lines(title, table.lines());
    }

    /// The sections as text.
    #[must_use]
    pub fn render(&self) -> String {
        let column = self.sections.iter().map(|(title, _)| width(title)).max().unwrap_or_default() + GAP;
        let mut text = String::new();
        for (title, lines) in &self.sections {
            let indent = " ".repeat(column - width(title));
            for (index, line) in lines.iter().enumerate() {
                if index == 0 {
                    text.push_str(&format!("{}{indent}{line}\n", self.style.title(title)));
                } else {
                    text.push_str(&format!("{}{line}\n", " ".repeat(column)));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_share_a_column() {
        let mut table = Table::new(["POD", "READY"]);
        table.row(["demo-0".into(), "yes".into()]);
        let mut sections = Sections::new(Style::PLAIN);
        sections.table("NAME SERVERS 1/1", &table);
        sections.line("CLIENTS", "namesrvAddr=a:9876");
        insta::assert_snapshot!(sections.render(), @r"
        NAME SERVERS 1/1  POD     READY
                          demo-0  yes
        CLIENTS           namesrvAddr=a:9876
        ");
    }
}
