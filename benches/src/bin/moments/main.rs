//! One pass of moments beside draws: its time, and its distance from what 10,000 draws say.
//!
//! `cargo run --release -p blitz-benches --bin moments -- --mnist DIR --uci DIR`
//!
//! `--mnist` is a folder with MNIST's four IDX files, on which an MLP of two hidden layers of 400 and LeNet-5 are trained for some epochs. `--uci` is a folder with folders of
//! `data.csv` and `test_splits.txt`, of which `concrete` and `yacht` are read: networks of one and of two hidden layers of 50 on the first split. All have ReLU, mean-field normal
//! posteriors and a standard normal prior of each weight times 1/√inputs. Without either option only the times are taken, of networks that are not trained.

mod compare;
mod images;
mod tables;
mod time;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

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
    #[arg(long, default_value_t = 10_000)]
    draws: usize,
    /// Test images to compare at, from the first.
    #[arg(long, default_value_t = 500)]
    images: usize,
    /// Epochs of training on MNIST.
    #[arg(long, default_value_t = 3)]
    epochs: usize,
    /// Rounds of each time.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    time::report(cli.rounds)?;
    if let Some(folder) = &cli.uci {
        tables::report(folder, cli.draws)?;
    }
    if let Some(folder) = &cli.mnist {
        images::report(folder, cli.draws, cli.images, cli.epochs)?;
    }
    Ok(())
}
