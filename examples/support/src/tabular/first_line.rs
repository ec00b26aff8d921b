//! Whether a file's first line names its columns, as far as the file tells.

use super::Format;
use super::format::is_mark;

/// What the first line of a file is.
pub(super) enum FirstLine {
    /// It names the columns.
    Names,
    /// It is a row of data.
    Data,
    /// It may be either.
    Unclear,
}

/// What the first line is by its cells and those of the second.
///
/// One that mixes names and numbers is data, so that a typing error in it is reported rather than swallowed as a name.
pub(super) fn first_line_of(first: &[String], second: &[String], format: &Format) -> FirstLine {
    let is_name = |cell: &String| format.number(cell).is_none() && !format.is_missing(cell);
    let has_names =
        first.iter().any(is_name) && first.iter().all(|cell| cell.is_empty() || is_name(cell));
    if !has_names {
        return match counts_columns(first, format) {
            true => FirstLine::Unclear,
            false => FirstLine::Data,
        };
    }
    let are_all = |is_so: fn(&str) -> bool| first.iter().all(|cell| cell.is_empty() || is_so(cell));
    // A line of numbers with another separator is an error of its own, where the next is one, too.
    let mut both = first.iter().zip(second);
    let has_other_separator = both.any(|(one, other)| is_line(one) && is_line(other));
    // Marks that nobody declared are names like others, or a row without a value.
    match are_all(is_mark) || (!has_other_separator && are_all(is_misspelt_number)) {
        true => FirstLine::Unclear,
        false => FirstLine::Names,
    }
}

/// Whether the cells are whole numbers in equal steps, such as columns that are counted, or years: what a program
/// writes that has no other names for them, or a row of data. Nobody can tell. Of one column or two, which say less,
/// those that are counted from 0 alone. Empty cells before them are of columns of row numbers, which such programs
/// don't name.
fn counts_columns(cells: &[String], format: &Format) -> bool {
    let first = cells.iter().position(|cell| !cell.is_empty());
    let counted = &cells[first.unwrap_or(cells.len())..];
    let whole = |cell: &String| {
        let number = format.number(cell).filter(|number| number.fract() == 0.0);
        number.filter(|_| !format.is_missing(cell))
    };
    let numbers: Option<Vec<f64>> = counted.iter().map(whole).collect();
    match numbers.as_deref() {
        Some([_] | [_, _]) => counted == ["0"] || counted == ["0", "1"],
        Some(numbers @ [first, second, _, ..]) => {
            let step = second - first;
            step != 0.0 && numbers.windows(2).all(|pair| pair[1] - pair[0] == step)
        }
        _ => false,
    }
}

/// Whether a cell that is no number begins as numbers do, such as `12.5.3`, `1O`, `5 %`, `0x10` or `10 000`.
fn is_misspelt_number(cell: &str) -> bool {
    let unsigned = cell.trim_start_matches(['+', '-', '\u{2212}', '.', ',', '$', '€', '£']);
    unsigned.starts_with(|first: char| first.is_ascii_digit())
}

/// Whether a cell is several numbers with another separator.
fn is_line(cell: &str) -> bool {
    let separators = [';', '\t', '|', ' '];
    let mut parts = cell.split(separators);
    cell.contains(separators) && parts.all(|part| part.parse::<f64>().is_ok())
}
