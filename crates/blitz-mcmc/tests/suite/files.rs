//! Chains in files: whole or refused, and the same after a kill.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use blitz_mcmc::{Draws, LogDensity, McmcError, McmcPosterior, NutsConfig, Weight};
use blitz_train::CheckpointError;
use blitz_train::prelude::*;
use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::{Device, Tensor};

use crate::networks::{Line, gaussian, line_density, line_density_of, points};

fn config() -> NutsConfig {
    NutsConfig::new()
        .with_chains(3)
        .with_warm_up(40)
        .with_draws(20)
        .with_threads(Some(1))
}

#[test]
fn a_run_that_was_killed_goes_on_to_the_same_draws() {
    let folder = tempfile::tempdir().unwrap();
    let density = line_density();
    let uninterrupted = config().init().run(&density).unwrap();

    let killed = catch_unwind(AssertUnwindSafe(|| {
        let die = |at: &blitz_mcmc::ChainProgress| assert!(at.chain == 0 || at.done < 30, "killed");
        config()
            .init()
            .in_folder(folder.path())
            .on_progress(die)
            .run(&density)
            .map(|_| ())
    }));
    assert!(killed.is_err());
    assert!(folder.path().join("chain-0.draws").exists());
    assert!(!folder.path().join("chain-1.draws").exists());

    let mut chains = Vec::new();
    let seen = |at: &blitz_mcmc::ChainProgress| chains.push(at.chain);
    let resumed = config()
        .init()
        .in_folder(folder.path())
        .on_progress(seen)
        .run(&density)
        .unwrap();
    chains.dedup();
    assert_eq!(
        chains,
        [1, 2],
        "a chain that was finished is not made again"
    );
    assert_eq!(resumed.draws(), uninterrupted.draws());

    let loaded = Draws::load(folder.path()).unwrap();
    assert_eq!(&loaded, uninterrupted.draws());
    let posterior = McmcPosterior::new(&Line::new(1), loaded.clone()).unwrap();
    let weight =
        |posterior: &McmcPosterior<Line>| posterior.network(2, 3).layer.weight.val().into_data();
    assert_eq!(weight(&posterior), weight(&resumed));
    let error = McmcPosterior::new(&Line::new(2), loaded)
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("layer.weight [2, 1]"), "{error}");
}

#[test]
fn a_chain_whose_seal_was_not_written_any_more_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let density = line_density();
    let run = || {
        config()
            .init()
            .in_folder(folder.path())
            .run(&density)
            .unwrap()
    };
    let first = run();
    fs::remove_file(folder.path().join("chain-1.draws.sha256")).unwrap();
    fs::write(folder.path().join("chain-1.draws"), "half a").unwrap();
    assert_eq!(run().draws(), first.draws());
}

#[test]
fn a_chain_that_is_whole_without_its_seal_is_taken_and_one_of_another_run_kept() {
    let folder = tempfile::tempdir().unwrap();
    let density = line_density();
    let first = config()
        .init()
        .in_folder(folder.path())
        .run(&density)
        .unwrap();
    // As from a folder of which the chains alone were copied.
    let path = |chain: usize| folder.path().join(format!("chain-{chain}.draws"));
    let seal = |chain: usize| folder.path().join(format!("chain-{chain}.draws.sha256"));
    let remove_seals = || (0..3).for_each(|chain| fs::remove_file(seal(chain)).unwrap());
    remove_seals();
    let before: Vec<_> = (0..3).map(|chain| fs::read(path(chain)).unwrap()).collect();

    let other = config().with_seed(1).init().in_folder(folder.path());
    let error = other.run(&density).map(|_| ()).unwrap_err();
    assert_eq!(error, McmcError::OtherRun { path: path(0) });
    for (chain, before) in before.iter().enumerate() {
        assert_eq!(&fs::read(path(chain)).unwrap(), before);
    }

    let again = config()
        .init()
        .in_folder(folder.path())
        .on_progress(|at| panic!("chain {} is made again", at.chain))
        .run(&density)
        .unwrap();
    assert_eq!(again.draws(), first.draws());
    assert!((0..3).all(|chain| seal(chain).exists()));
}

/// A file of a chain of a run, without a seal, whose first line is changed.
fn with_header(change: (&str, &str)) -> Result<Draws, McmcError> {
    let folder = tempfile::tempdir().unwrap();
    let nuts = config().with_chains(1).init().in_folder(folder.path());
    nuts.run(&line_density()).unwrap();
    let path = folder.path().join("chain-0.draws");
    let bytes = fs::read(&path).unwrap();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    let line = String::from_utf8(bytes[..end].to_vec()).unwrap();
    assert!(line.contains(change.0), "{line}");
    // No draws: the numbers of none.
    fs::write(&path, line.replace(change.0, change.1) + "\n").unwrap();
    fs::remove_file(folder.path().join("chain-0.draws.sha256")).unwrap();
    Draws::load(folder.path())
}

#[test]
fn a_chain_without_draws_is_no_chain() {
    let error = with_header(("\"draws\":20", "\"draws\":0")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("chain 0 of 1 with 0 draws"), "{text}");
    let error = with_header(("\"chains\":1", "\"chains\":0")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("chain 0 of 0"), "{text}");
}

#[test]
fn a_chain_in_the_place_of_another_is_refused() {
    for (from, to) in [(1, 0), (0, 1), (0, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let nuts = config().init().in_folder(folder.path());
        nuts.run(&line_density()).unwrap();
        let path = |chain: usize| folder.path().join(format!("chain-{chain}.draws"));
        let seal = |chain: usize| folder.path().join(format!("chain-{chain}.draws.sha256"));
        fs::copy(path(from), path(to)).unwrap();
        fs::copy(seal(from), seal(to)).unwrap();
        let refused = Err(McmcError::OtherRun { path: path(to) });
        assert_eq!(Draws::load(folder.path()), refused);
    }
}

#[test]
fn a_damaged_chain_is_refused_at_every_byte_that_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let density = line_density();
    config()
        .init()
        .in_folder(folder.path())
        .run(&density)
        .unwrap();
    let path = folder.path().join("chain-1.draws");
    let whole = fs::read(&path).unwrap();
    for at in [0, 40, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let damaged = McmcError::File(CheckpointError::Damaged { path: path.clone() });
        assert_eq!(Draws::load(folder.path()), Err(damaged.clone()));
        let resumed = config().init().in_folder(folder.path()).run(&density);
        assert_eq!(resumed.map(|_| ()), Err(damaged));
    }
    // Cut short, and with nothing beside it that says how it was.
    fs::remove_file(folder.path().join("chain-1.draws.sha256")).unwrap();
    fs::write(&path, &whole[..whole.len() - 8]).unwrap();
    let error = Draws::load(folder.path()).unwrap_err();
    assert!(
        error.to_string().contains("not as many draws as it says"),
        "{error}"
    );
}

#[test]
fn chains_of_other_data_or_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    config()
        .init()
        .in_folder(folder.path())
        .run(&line_density())
        .unwrap();
    let other_data = line_density_of(points(10, 1.9));
    let error = config()
        .init()
        .in_folder(folder.path())
        .run(&other_data)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, McmcError::OtherRun { .. }), "{error}");
    for other in [
        config().with_seed(1),
        config().with_draws(21),
        config().with_target_acceptance(0.9),
    ] {
        let run = other.init().in_folder(folder.path()).run(&line_density());
        assert!(matches!(run.map(|_| ()), Err(McmcError::OtherRun { .. })));
    }
}

#[test]
fn chains_of_two_runs_are_not_read_as_one() {
    let folders = [10, 11].map(|points_of| {
        let folder = tempfile::tempdir().unwrap();
        let density = line_density_of(points(points_of, 1.9));
        let nuts = config().init().in_folder(folder.path());
        nuts.run(&density).unwrap();
        folder
    });
    for name in ["chain-1.draws", "chain-1.draws.sha256"] {
        fs::copy(folders[1].path().join(name), folders[0].path().join(name)).unwrap();
    }
    let path = folders[0].path().join("chain-1.draws");
    assert_eq!(
        Draws::load(folders[0].path()),
        Err(McmcError::OtherRun { path })
    );
}

#[test]
fn draws_are_those_of_the_network_with_its_frozen_weights_and_statistics() {
    let with = |weight: f32, mean: f32| {
        let device = Device::flex();
        let mut net = Normed {
            norm: BatchNormConfig::new(1).init(&device),
            line: Line::new(1),
        };
        let frozen = Tensor::from_data([[weight]], &device);
        let weight = Param::from_tensor(frozen).set_require_grad(false);
        net.line.layer.weight = weight;
        net.norm
            .running_mean
            .update(Tensor::from_data([mean], &device));
        net.norm.running_mean.value_sync();
        net.valid()
    };
    let prior = |_: &Weight| PriorConfig::normal(1.0);
    let data = vec![points(10, 2.0)];
    let density = LogDensity::new(&with(3.0, 0.5), &gaussian(0.3), prior, data).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let nuts = config().init().in_folder(folder.path());
    nuts.run(&density).unwrap();
    let refused = |weight, mean| {
        let draws = Draws::load(folder.path()).unwrap();
        McmcPosterior::new(&with(weight, mean), draws).err()
    };
    assert_eq!(refused(3.0, 0.5), None);
    assert_eq!(refused(2.0, 0.5), Some(McmcError::OtherFrozen));
    assert_eq!(refused(3.0, 0.6), Some(McmcError::OtherFrozen));

    // As files of before are: one, which goes on with new ones, and then all.
    for chain in 0..3 {
        let path = folder.path().join(format!("chain-{chain}.draws"));
        let bytes = fs::read(&path).unwrap();
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let line = std::str::from_utf8(&bytes[..end]).unwrap();
        let (line, _) = line.split_once(",\"unsampled\"").unwrap();
        fs::write(&path, [line.as_bytes(), b"}", &bytes[end..]].concat()).unwrap();
        fs::remove_file(folder.path().join(format!("chain-{chain}.draws.sha256"))).unwrap();
        let again = config().init().in_folder(folder.path());
        let again = again.on_progress(|at| panic!("chain {} is made again", at.chain));
        again.run(&density).unwrap();
        let expected = (chain < 2).then_some(McmcError::OtherFrozen);
        assert_eq!(refused(2.0, 0.5), expected);
    }
}

#[derive(Module, Debug)]
struct Normed {
    norm: BatchNorm,
    line: Line,
}

impl Network for Normed {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.line.forward(self.norm.forward(input))
    }
}

#[test]
fn a_folder_that_is_in_use_or_has_no_chains_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = Draws::load(folder.path()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read "), "{error}");
    let claim = blitz_train::FolderClaim::take(folder.path()).unwrap();
    if cfg!(target_os = "linux") {
        let run = config()
            .init()
            .in_folder(folder.path())
            .run(&line_density());
        let error = run.map(|_| ()).unwrap_err();
        assert!(
            matches!(error, McmcError::File(CheckpointError::InUse { .. })),
            "{error}"
        );
    }
    drop(claim);
}
