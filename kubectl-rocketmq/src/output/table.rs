//! Tables as `kubectl` prints them: upper-case headers, columns two spaces apart, no lines.
//!
//! Own code because table crates measure and wrap what they are given: here cells may carry colour, text from the
//! cluster is escaped on its way in, and a section's title stands in a column of its own before the headers.

use rocketmq::text::printable;

use crate::output::text::width;

/// Spaces between two columns.
const GAP: usize = 2;

/// What an empty cell shows.
const EMPTY: &str = "-";

/// A cell: text from the cluster (escaped) or text of our own that may be coloured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell(String);

impl Cell {
    /// Text of our own, colour included. Whatever came from the cluster must be [`printable`] already.
    #[must_use]
    pub fn styled(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self(if text.is_empty() { EMPTY.to_owned() } else { printable(text).into_owned() })
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(text: Option<T>) -> Self {
        text.map_or_else(|| Self(EMPTY.to_owned()), Into::into)
    }
}

/// Rows under headers.
#[derive(Debug, Clone)]
pub struct Table {
    headers: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new<T: Into<Cell>>(headers: impl IntoIterator<Item = T>) -> Self {
        Self { headers: headers.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; it has a cell for each header.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, headers first, none with trailing spaces.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let all: Vec<&Vec<Cell>> = std::iter::once(&self.headers).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..self.headers.len())
            .map(|column| {
                all.iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| width(&cell.0))
                    .max()
                    .unwrap_or_default()
            })
            .collect();
        all.iter().map(|row| line(row, &widths)).collect()
    }

    /// The table as text, each line ended.
    #[must_use]
    pub fn render(&self) -> String {
        self.lines().into_iter().map(|line| line + "\n").collect()
    }
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, columns) in row.iter().zip(widths) {
        line.push_str(&cell.0);
        line.push_str(&" ".repeat(columns - width(&cell.0) + GAP));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Style;

    #[test]
    fn columns_align_whatever_their_text() {
        let mut table = Table::new(["NAME", "STATE", "AGE"]);
        table.row(["主题".into(), Cell::styled(Style::new(true).good("ok")), "2d".into()]);
        table.row([
            "name-service-0".into(),
            Cell::styled(Style::new(true).bad("wrong")),
            None::<&str>.into(),
        ]);
        insta::assert_snapshot!(table.render().replace('\u{1b}', "^"), @r"
        NAME            STATE  AGE
        主题            ^[32mok^[0m     2d
        name-service-0  ^[31mwrong^[0m  -
        ");
    }

    #[test]
    fn cells_from_the_cluster_are_escaped() {
        let mut table = Table::new(["NAME"]);
        table.row(["evil\u{1b}[2J\nforged".into()]);
        assert_eq!(table.render(), "NAME\nevil\\u{1b}[2J\\nforged\n");
    }
}
