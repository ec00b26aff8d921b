//! Chains: what decides their draws, and the networks that they give.

use std::sync::Mutex;

use blitz_mcmc::{ChainLines, Draws, NutsConfig};
use blitz_train::NetworkPosterior;
use blitz_train::prelude::*;

use crate::networks::{Line, gaussian, line_density, table};

fn short() -> NutsConfig {
    NutsConfig::new()
        .with_chains(3)
        .with_warm_up(60)
        .with_draws(40)
}

fn draws(config: &NutsConfig) -> Draws {
    config.init().run(&line_density()).unwrap().draws().clone()
}

#[test]
fn draws_are_the_same_for_a_seed_whatever_the_threads() {
    let one = draws(&short().with_threads(Some(1)));
    assert_eq!(one, draws(&short().with_threads(Some(3))));
    assert_ne!(one, draws(&short().with_seed(1)));
    // No two chains share their draws.
    assert_ne!(one.position(0, 0), one.position(1, 0));
}

#[test]
fn a_chain_does_not_depend_on_how_many_there_are() {
    let three = draws(&short());
    let two = draws(&short().with_chains(2));
    assert_eq!(three.chains()[..2], two.chains()[..]);
}

#[test]
fn each_draw_is_told_once_and_in_order() {
    let seen = Mutex::new(vec![Vec::new(); 3]);
    let tell = |at: &blitz_mcmc::ChainProgress| {
        assert_eq!((at.chains, at.total), (3, 100));
        assert_eq!(at.warming_up, at.done <= 60);
        seen.lock().unwrap()[at.chain].push(at.done);
    };
    short()
        .init()
        .on_progress(tell)
        .run(&line_density())
        .unwrap();
    let all: Vec<usize> = (1..=100).collect();
    assert_eq!(*seen.lock().unwrap(), vec![all; 3]);
}

#[test]
fn lines_come_at_their_interval_and_at_the_end() {
    let mut text = Vec::new();
    let mut lines = ChainLines::to(&mut text, 70);
    let config = short().with_chains(1);
    config
        .init()
        .on_progress(|at| lines.show(at))
        .run(&line_density())
        .unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("chain 1/1  draw 70/100  "), "{text}");
    assert!(lines[1].starts_with("chain 1/1  draw 100/100  "), "{text}");
    assert!(
        lines[1].contains("step size") && lines[1].ends_with("divergences 0"),
        "{text}"
    );
}

#[test]
fn a_draw_s_network_has_its_weights_and_predicts() {
    let density = line_density();
    let posterior = short().init().run(&density).unwrap();
    let network = posterior.network(1, 7);
    let weights: Vec<f32> = posterior
        .draws()
        .position(1, 7)
        .iter()
        .map(|w| *w as f32)
        .collect();
    assert_eq!(
        network
            .layer
            .weight
            .val()
            .into_data()
            .try_to_vec::<f32>()
            .unwrap(),
        weights[..1]
    );
    assert_eq!(
        density.position_of(&network).unwrap()[0],
        f64::from(weights[0])
    );

    let predictor = PredictorConfig::new(120).init_with(&posterior, &gaussian(0.3));
    let predictive = predictor.predict(table(&[1.0], 1)).unwrap();
    assert!(
        (predictive.mean()[0] - 2.0).abs() < 0.5,
        "{:?}",
        predictive.mean()
    );
}

#[test]
fn every_draw_is_a_network_once_before_one_comes_again() {
    let posterior = short().init().run(&line_density()).unwrap();
    let weight = |index| {
        let network = posterior.draw_network(0, index);
        network
            .layer
            .weight
            .val()
            .into_data()
            .try_to_vec::<f32>()
            .unwrap()[0]
    };
    let mut got: Vec<f32> = (0..120).map(weight).collect();
    let mut expected: Vec<f32> = posterior
        .draws()
        .weight(0)
        .into_iter()
        .flatten()
        .map(|w| w as f32)
        .collect();
    got.sort_by(f32::total_cmp);
    expected.sort_by(f32::total_cmp);
    assert_eq!(got, expected);
    assert_eq!(weight(0), weight(120));
}

#[test]
fn chains_start_at_the_networks_that_they_are_given() {
    let density = line_density();
    let posterior = short().init().run(&density).unwrap();
    let members: Vec<_> = (0..3).map(|chain| posterior.network(chain, 39)).collect();
    let config = short().with_warm_up(10).with_draws(4);
    let again = config.init().run_from(&density, &members).unwrap();
    assert_eq!(again.draws().draws(), 4);
    // At the network that the density was made of, they are the chains without jitter; at others they are others.
    let own = config
        .clone()
        .with_jitter(0.0)
        .init()
        .run(&density)
        .unwrap();
    let line = || Line::new(1);
    let given = [line(), line(), line()];
    let given = config.init().run_from(&density, &given).unwrap();
    assert_eq!(own.draws(), given.draws());
    assert_ne!(again.draws(), given.draws());
    let error = config.init().run_from(&density, &members[..2]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("3 chains need as many networks"),
        "{error}"
    );
}

#[test]
fn convergence_is_of_each_weight_or_of_each_prediction() {
    let posterior = short().init().run(&line_density()).unwrap();
    assert_eq!(posterior.convergence().unwrap().r_hat.len(), 2);
    let at = table(&[-1.0, 0.0, 1.0], 1);
    let of_predictions = posterior
        .convergence_of(|line| line.layer.forward(at.clone()))
        .unwrap();
    assert_eq!(of_predictions.ess_bulk.len(), 3);
    assert!(of_predictions.largest_r_hat() < 1.2, "{of_predictions}");
    let error = posterior
        .convergence_of(|line| line.layer.forward(at.clone()) * 0.0)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("number 0 (counted from 0): all draws are"),
        "{error}"
    );
}
