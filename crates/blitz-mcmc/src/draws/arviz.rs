//! Draws as the JSON that ArviZ reads: groups of variables, each an array of chains, draws and the variable's own axes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use blitz_train::files::in_place;

use super::{DrawStats, Draws};
use crate::error::McmcError;

pub(super) fn write(draws: &Draws, path: &Path) -> Result<(), McmcError> {
    let written = in_place(path, |part| -> io::Result<()> {
        let mut out = BufWriter::new(File::create(part)?);
        groups(draws, &mut out)?;
        out.into_inner()?.sync_all()
    });
    written.map_err(|error| McmcError::not_written(path, error))
}

/// A name, and the value of a draw as text.
type Stat = (&'static str, fn(&DrawStats) -> String);

fn groups(draws: &Draws, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{{\"posterior\":{{")?;
    let mut start = 0;
    for (number, weight) in draws.weights.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        write!(
            out,
            "{comma}{}:",
            serde_json::to_string(&variable(draws, &weight.path))?
        )?;
        let end = start + weight.len();
        array(draws, out, |out, chain, draw| {
            nested(&draws.position(chain, draw)[start..end], &weight.shape, out)
        })?;
        start = end;
    }
    write!(out, "}},\"sample_stats\":{{")?;
    // Under the names of ArviZ's schema.
    let stats: [Stat; 7] = [
        ("lp", |draw| number(draw.log_density)),
        ("energy", |draw| number(draw.energy)),
        ("step_size", |draw| number(draw.step_size)),
        ("tree_depth", |draw| draw.tree_depth.to_string()),
        ("n_steps", |draw| draw.leapfrogs.to_string()),
        ("acceptance_rate", |draw| number(draw.acceptance)),
        ("diverging", |draw| draw.diverging.to_string()),
    ];
    for (number, (name, value)) in stats.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        write!(out, "{comma}\"{name}\":")?;
        array(draws, out, |out, chain, draw| {
            out.write_all(value(&draws.chains[chain].stats[draw]).as_bytes())
        })?;
    }
    write!(out, "}}}}")
}

/// The name of a weight's variable: its path, but for one that is the name of an axis, which ArviZ would take for that.
fn variable(draws: &Draws, path: &str) -> String {
    let mut name = path.to_string();
    let is_taken = |name: &String| draws.weights.iter().any(|weight| weight.path == *name);
    if matches!(path, "chain" | "draw") {
        while matches!(name.as_str(), "chain" | "draw") || is_taken(&name) {
            name.push('_');
        }
    }
    name
}

/// One value for each draw of each chain.
fn array<W: Write>(
    draws: &Draws,
    out: &mut W,
    mut value: impl FnMut(&mut W, usize, usize) -> io::Result<()>,
) -> io::Result<()> {
    list(out, draws.chains.len(), |out, chain| {
        list(out, draws.draws(), |out, draw| value(out, chain, draw))
    })
}

fn list<W: Write>(
    out: &mut W,
    len: usize,
    mut item: impl FnMut(&mut W, usize) -> io::Result<()>,
) -> io::Result<()> {
    write!(out, "[")?;
    for index in 0..len {
        if index > 0 {
            write!(out, ",")?;
        }
        item(out, index)?;
    }
    write!(out, "]")
}

/// Row-major values as lists of lists.
fn nested(values: &[f64], shape: &[usize], out: &mut impl Write) -> io::Result<()> {
    let [first, rest @ ..] = shape else {
        return out.write_all(number(values[0]).as_bytes());
    };
    let width: usize = rest.iter().product();
    write!(out, "[")?;
    for index in 0..*first {
        if index > 0 {
            write!(out, ",")?;
        }
        nested(&values[index * width..(index + 1) * width], rest, out)?;
    }
    write!(out, "]")
}

/// The shortest text that is read as the same number; Python's JSON knows NaN by this name.
fn number(value: f64) -> String {
    match value.is_finite() {
        true => format!("{value:?}"),
        false => "NaN".to_string(),
    }
}
