//! Columns of text, as wide as their widest cell.

/// Lines up rows of cells; the columns of `right` are set right.
pub(super) fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            if column > 0 {
                line += "  ";
            }
            if right.contains(&column) {
                line = line + &pad + cell;
            } else {
                line = line + cell + &pad;
            }
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}
