//! Columns and rows of text.

use std::fmt;

/// The first column is aligned to the left, the others to the right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// A line above it; may be empty.
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
                widest.max(self.columns[column].chars().count())
            })
            .collect();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for (column, (cell, &width)) in cells.zip(&widths).enumerate() {
                if column == 0 {
                    text += &format!("{cell:<width$}");
                } else {
                    text += &format!("  {cell:>width$}");
                }
            }
            writeln!(f, "{}", text.trim_end())
        };
        line(&mut self.columns.iter().copied())?;
        self.rows
            .iter()
            .try_for_each(|row| line(&mut row.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_line_up_whatever_their_width() {
        let table = Table {
            title: String::new(),
            columns: vec!["design", "ms"],
            rows: vec![
                vec!["a".into(), "1.00".into()],
                vec!["longer".into(), "10.00".into()],
            ],
        };
        assert_eq!(
            table.to_string(),
            "design     ms\na        1.00\nlonger  10.00\n"
        );
    }
}
