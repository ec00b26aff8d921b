//! One pass of moments beside draws: its time, and its distance from what 10,000 draws say.
//!
//! `cargo run --release -p blitz-benches --bin moments -- --mnist DIR --uci DIR`
//!
//! `--mnist` is a folder with MNIST's four IDX files, on which an MLP of two hidden layers of 400 and LeNet-5 are
//! trained for some epochs. `--uci` is a folder with folders of `data.csv` and `test_splits.txt`, of which `concrete`
//! and `yacht` are read: networks of one and of two hidden layers of 50 on the first split. All have ReLU, mean-field
//! normal posteriors and a standard normal prior of each weight times 1/√inputs. Without either option only the times
//! are taken, of networks that are not trained.

mod compare;
mod images;
mod tables;
mod time;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use example_support::digits;
use example_support::number::{at_least, draws_of_a_prediction};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Cli {
    /// Folder with MNIST's IDX files.
    #[arg(long, value_name = "DIR")]
    mnist: Option<PathBuf>,
    /// Folder with the folders `concrete` and `yacht`.
    #[arg(long, value_name = "DIR")]
    uci: Option<PathBuf>,
    /// Draws to compare with.
    #[arg(long, default_value_t = 10_000, value_parser = draws_of_a_prediction)]
    draws: usize,
    /// Test images to compare at, from the first.
    #[arg(long, default_value_t = 500, value_parser = at_least::<1>)]
    images: usize,
    /// Epochs of training on MNIST.
    #[arg(long, default_value_t = 3)]
    epochs: usize,
    /// Rounds of each time.
    #[arg(long, default_value_t = 15, value_parser = at_least::<1>)]
    rounds: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    // Before what takes minutes.
    let mnist = cli.mnist.as_deref().map(digits::idx).transpose()?;
    if let Some(data) = &mnist
        && cli.images > data.test.len()
    {
        let there = data.test.len();
        return Err(format!("--images {}: there are {there} test images", cli.images).into());
    }
    time::report(cli.rounds)?;
    if let Some(folder) = &cli.uci {
        tables::report(folder, cli.draws)?;
    }
    if let Some(data) = &mnist {
        images::report(data, cli.draws, cli.images, cli.epochs)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use example_support::program::assert_refused;

    use super::*;

    #[test]
    fn what_can_not_be_timed_or_compared_is_refused() {
        assert_refused::<Cli>(&[
            ("--images 0", "at least 1"),
            ("--rounds 0", "at least 1"),
            ("--draws 1", "at least 2"),
        ]);
    }
}
