//! A distribution from a file, in the format of netem's `.dist` tables.

/// Quantiles of a distribution in multiples of jitter, scaled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table(Box<[i16]>);

/// What is wrong with a table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TableError {
    #[error("line {line}: `{word}` is not a whole number from -32768 to 32767")]
    NotANumber { line: usize, word: String },
    #[error("it has {0} numbers, and a table holds 1 to 16384")]
    Length(usize),
}

impl Table {
    /// netem's NETEM_DIST_SCALE: this number stands for one jitter.
    const SCALE: f64 = 8_192.0;
    /// netem's NETEM_DIST_MAX.
    const LONGEST: usize = 16_384;

    /// Reads whole numbers between white space; a line that begins with `#` is a comment.
    pub(crate) fn parse(text: &str) -> Result<Self, TableError> {
        let mut values = Vec::new();
        for (line, content) in text
            .lines()
            .enumerate()
            .filter(|(_, content)| !content.starts_with('#'))
        {
            for word in content.split_whitespace() {
                let value = word.parse();
                values.push(value.map_err(|_| TableError::NotANumber {
                    line: line + 1,
                    word: word.to_owned(),
                })?);
            }
        }
        match values.len() {
            1..=Table::LONGEST => Ok(Table(values.into())),
            length => Err(TableError::Length(length)),
        }
    }

    /// Returns the value of the table at a number between 0 and 1, in multiples of jitter.
    pub(super) fn at(&self, unit: f64) -> f64 {
        let index = (unit * self.0.len() as f64) as usize;
        f64::from(self.0[index.min(self.0.len() - 1)]) / Table::SCALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_netems_format() {
        let table = Table::parse("# a comment\n -8192 0\n 4096\t8192\n").expect("it is a table");
        assert_eq!(
            [0.1, 0.3, 0.6, 0.9].map(|unit| table.at(unit)),
            [-1.0, 0.0, 0.5, 1.0]
        );
        assert_eq!(table.at(1.0), 1.0);
    }

    #[test]
    fn names_what_is_wrong() {
        let wrong = |text: &str| Table::parse(text).expect_err("it is no table").to_string();
        assert_eq!(
            wrong("1 2\n3 x"),
            "line 2: `x` is not a whole number from -32768 to 32767"
        );
        assert_eq!(
            wrong("40000"),
            "line 1: `40000` is not a whole number from -32768 to 32767"
        );
        assert_eq!(
            wrong("# nothing"),
            "it has 0 numbers, and a table holds 1 to 16384"
        );
        assert_eq!(
            wrong(&"1 ".repeat(16_385)),
            "it has 16385 numbers, and a table holds 1 to 16384"
        );
    }
}
