//! Quotes around cells, which the csv crate takes as they come: it reads `"2"3` as 23, and one that is not closed as a
//! cell up to the end of the file.

use super::{DataError, Separator};

/// Where in a cell a text is.
enum Place {
    Begin,
    /// In a cell that begins without a quote, where one is a letter like others.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote in there: it closes the cell, or a second one comes and both are one letter.
    Quote,
    /// After the closing quote, and a space.
    Closed,
}

/// An error if a cell begins with a quote and has no other at its end.
pub(super) fn check_quotes(text: &str, file: &str, separator: Separator) -> Result<(), DataError> {
    let fault = |line, reason: String| DataError::Row {
        file: file.into(),
        line,
        reason,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut line, mut line_of_cell) = (1, 1);
    let mut place = Place::Begin;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let ends_cell = letter == char::from(separator.byte()) || matches!(letter, '\n' | '\r');
        place = match (place, letter) {
            (Place::Begin, '"') => {
                line_of_cell = line;
                Place::Quoted
            }
            (Place::Quoted, '"') => Place::Quote,
            (Place::Quoted, _) | (Place::Quote, '"') => Place::Quoted,
            _ if ends_cell => Place::Begin,
            (Place::Quote | Place::Closed, ' ' | '\t') => Place::Closed,
            (Place::Quote | Place::Closed, _) => {
                let reason = format!("`{letter}` comes after the closing quote of a cell");
                return Err(fault(line_of_cell, reason));
            }
            (Place::Begin | Place::Plain, _) => Place::Plain,
        };
        let ends_line = letter == '\n' || letter == '\r' && letters.peek() != Some(&'\n');
        line += usize::from(ends_line);
    }
    match place {
        Place::Quoted => Err(fault(line_of_cell, "a quote is not closed".into())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, separator: Separator) -> Result<(), String> {
        check_quotes(text, "t.csv", separator).map_err(|error| error.to_string())
    }

    #[test]
    fn quotes_around_cells_are_no_matter() {
        for text in [
            "",
            "\"a\",\"b\"\n1,\"2\"",
            "\u{feff}\"a\"\r\n\"1\"\r\n",
            "\"two\nlines\" , \"\"",
            "\"one \"\" in it\",\"\"\"\"",
            // Of a cell that begins without one they are letters.
            "5\" nails,x\n1,2",
            " \"1\",2",
        ] {
            assert_eq!(check(text, Separator::Comma), Ok(()), "{text}");
        }
        assert_eq!(check("\"1\"\t2\n", Separator::Tab), Ok(()));
    }

    #[test]
    fn a_quote_that_closes_no_cell_is_named_by_its_line() {
        for (text, line) in [
            ("a,b,\"y\n1,2,3\n4,5,6\n", 1),
            ("a\n\"1\n2\"\n\"3", 4),
            ("a\r1\r\"2", 3),
            ("a\r\n\"1", 2),
            ("1,\"\"\"", 1),
        ] {
            let error = format!("t.csv, line {line}: a quote is not closed");
            assert_eq!(check(text, Separator::Comma), Err(error), "{text}");
        }
        for (text, letter) in [("a\n\"2\"3\n", '3'), ("a\n\"2\" \"3\"", '"')] {
            let error =
                format!("t.csv, line 2: `{letter}` comes after the closing quote of a cell");
            assert_eq!(check(text, Separator::Comma), Err(error), "{text}");
        }
    }
}
