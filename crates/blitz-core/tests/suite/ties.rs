//! Weights that stand in several places of a module.

use std::panic::AssertUnwindSafe;

use blitz_core::prelude::*;
use blitz_core::{
    BayesianizeError, BuiltinVariational, MopedVariational, NormalPosteriorConfig, NormalPrior,
    WeightMoments, mistaken_for_one,
};
use burn::module::{Flag, Lora, Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};

use crate::net::{rho, scalar, values};

/// Two layers that share their weight, which a list and an enum hold.
#[derive(Module, Debug)]
struct Tied {
    first: Vec<Linear>,
    second: Head,
}

#[derive(Module, Debug)]
enum Head {
    Linear(Linear),
}

impl Tied {
    fn second(&self) -> &Linear {
        let Head::Linear(second) = &self.second;
        second
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.second().forward(self.first[0].forward(x).tanh())
    }

    /// Reads the second place first.
    fn backwards(&self, x: Tensor<2>) -> Tensor<2> {
        self.first[0].forward(self.second().forward(x).tanh())
    }

    fn both(&self) -> [&Linear; 2] {
        [&self.first[0], self.second()]
    }
}

fn layer(device: &Device) -> Linear {
    let weight: Vec<f32> = (0..9).map(|i| (i as f32 * 0.7).sin()).collect();
    let mut layer = LinearConfig::new(3, 3).with_bias(false).init(device);
    let weight = Tensor::<1>::from_floats(weight.as_slice(), device).reshape([3, 3]);
    layer.weight = Param::from_tensor(weight);
    layer
}

fn side_by_side(first: Linear, second: Linear) -> Tied {
    Tied {
        first: vec![first],
        second: Head::Linear(second),
    }
}

fn tied(layer: Linear) -> Tied {
    side_by_side(layer.clone(), layer)
}

/// The two side by side, in either order, with the place of `a`.
fn in_either_order(a: &Linear, b: &Linear) -> [(Tied, usize); 2] {
    [
        (side_by_side(a.clone(), b.clone()), 0),
        (side_by_side(b.clone(), a.clone()), 1),
    ]
}

/// Tied before the conversion, and after it.
fn both_ways(device: &Device) -> [Tied; 2] {
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    [
        tied(layer(device)).bayesianize(&config),
        tied(layer(device).bayesianize(&config)),
    ]
}

fn input(device: &Device) -> Tensor<2> {
    Tensor::from_floats([[0.3, -1.0, 2.0]], device)
}

#[test]
fn a_tied_weight_has_one_draw_and_is_counted_once() {
    let device = Device::flex();
    let expected = layer(&device)
        .bayesianize(&BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1)));
    for net in both_ways(&device) {
        assert_eq!(net.num_bayesian_weights(), 9);
        assert_eq!(net.num_posterior_params(), 18);
        assert_eq!(net.kl_terms().len(), 1);
        assert_eq!(net.kl_terms()[0].path, "first.0.weight");
        assert_eq!(net.weight_marginals().len(), 1);
        assert_eq!(net.posteriors::<blitz_core::BuiltinPosterior>().len(), 1);
        assert_eq!(scalar(net.kl_cost()), scalar(expected.kl_cost()));
        let weights = net.with_draw(1, 2, |net| net.both().map(|l| values(l.weight.val())));
        assert_eq!(weights[0], weights[1]);
        // The same as of the layer alone: a tie takes no stream of noise.
        let alone = expected.with_draw(1, 2, |layer| values(layer.weight.val()));
        assert_eq!(weights[0], alone);
        let network = net.sample_network(1, 2);
        assert_eq!(network.both().map(|l| values(l.weight.val())), weights);
    }
}

#[test]
fn a_tied_weights_gradients_are_those_of_one_parameter() {
    let device = Device::flex().autodiff();
    for net in both_ways(&device) {
        let _draw = net.draw(3, 0);
        let grads = (net.forward(input(&device)).sum() + net.kl_cost()).backward();
        let of = |layer: &Linear| {
            let mu = layer.weight.base().grad(&grads).unwrap();
            (values(mu), values(rho(layer).grad(&grads).unwrap()))
        };
        let [first, second] = net.both().map(of);
        assert_eq!(first, second);
        // Against a layer that is used twice.
        let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
        let once = layer(&device).bayesianize(&config);
        let _draw = once.draw(3, 0);
        let output = once.forward(once.forward(input(&device)).tanh());
        let grads = (output.sum() + once.kl_cost()).backward();
        let mu = values(once.weight.base().grad(&grads).unwrap());
        for (got, expected) in first.0.iter().zip(&mu) {
            assert!((got - expected).abs() < 1e-5 * expected.abs().max(1.0));
        }
    }
}

/// One step by Burn's optimizer, which gives a gradient to the first place.
fn step(net: Tied, forward: impl Fn(&Tied, Tensor<2>) -> Tensor<2>, index: u64) -> Tied {
    let device = Device::flex().autodiff();
    let loss = {
        let _draw = net.draw(3, index);
        forward(&net, input(&device)).square().sum() + net.kl_cost() * 0.01
    };
    let grads = GradientsParams::from_grads(loss.backward(), &net);
    SgdConfig::new().init().step(0.01, net, grads)
}

#[test]
fn training_a_tied_weight_is_training_one_weight_whichever_place_is_read_first() {
    let device = Device::flex().autodiff();
    type Forward = fn(&Tied, Tensor<2>) -> Tensor<2>;
    let forwards: [Forward; 2] = [Tied::forward, Tied::backwards];
    for forward in forwards {
        for net in both_ways(&device) {
            let (mut retied, mut left) = (net.clone(), net);
            for index in 0..3 {
                retied = step(retied, forward, index).retie();
                left = step(left, forward, index);
            }
            let [first, second] = retied.both().map(|l| values(l.weight.base()));
            assert_eq!(first, second);
            assert_eq!(values(rho(&retied.first[0])), values(rho(retied.second())));
            // Left alone, the second place stays behind, but a draw is that of the first.
            assert_eq!(values(left.first[0].weight.base()), first);
            let draws = |net: &Tied| {
                net.with_draw(9, 0, |net| {
                    [net.second(), &net.first[0]].map(|l| values(l.weight.val()))
                })
            };
            assert_eq!(draws(&left), draws(&retied));
        }
    }
}

#[test]
fn an_antithetic_draw_reflects_a_tied_weight_about_the_mean_of_its_first_place() {
    let device = Device::flex().autodiff();
    for net in both_ways(&device) {
        // The second place stays behind.
        let net = step(net, Tied::forward, 0);
        let mean = net.first[0].weight.base();
        assert_ne!(values(mean.clone()), values(net.second().weight.base()));
        let draw = net.draw(9, 0);
        let first = net.second().weight.val();
        let _second = draw.antithetic(&net, 1).unwrap();
        let expected = values(mean * 2.0 - first);
        assert_eq!(values(net.second().weight.val()), expected);
        assert_eq!(values(net.first[0].weight.val()), expected);
    }
}

#[test]
fn whatever_changes_a_module_leaves_a_tied_weight_tied() {
    let device = Device::flex();
    for net in both_ways(&device) {
        let frozen = net.clone().freeze_sampling();
        let changed = [
            net.clone().valid(),
            net.clone().map_means::<()>(Ok).unwrap(),
            net.clone().moped(&MopedConfig::new()),
            net.clone().prune_by_signal_to_noise(0.5).0,
            net.clone().load_record(net.clone().into_record()),
            frozen.clone(),
            frozen.unfreeze_sampling(),
            net.clone()
                .bayesianize(&BayesianizeConfig::new().replace_existing()),
        ];
        for (number, net) in changed.into_iter().enumerate() {
            assert_eq!(net.num_bayesian_weights(), 9, "{number}");
            assert_eq!(net.kl_terms().len(), 1, "{number}");
            let [first, second] =
                net.with_draw(5, 1, |net| net.both().map(|l| values(l.weight.val())));
            assert_eq!(first, second, "{number}");
            let [first, second] = net.with_mean(|net| net.both().map(|l| values(l.weight.val())));
            assert_eq!(first, second, "{number}");
        }
    }
}

#[test]
fn a_frozen_tied_weight_is_frozen_in_both_places() {
    for net in both_ways(&Device::flex()) {
        let group = burn::module::ParamGroup::from_path("second.Linear.weight");
        let net = net.freeze_sampling_group(group);
        let mean = values(net.first[0].weight.base());
        for index in 0..3 {
            let weights = net.with_draw(1, index, |net| net.both().map(|l| values(l.weight.val())));
            assert_eq!(weights, [mean.clone(), mean.clone()]);
        }
    }
}

#[test]
fn a_filter_or_rule_for_one_place_decides_over_the_weight() {
    let device = Device::flex();
    let net = tied(layer(&device)).bayesianize(&BayesianizeConfig::new().only("second"));
    assert_eq!(net.num_bayesian_weights(), 9);
    for layer in net.both() {
        assert!(
            layer
                .weight
                .reparameterization::<BuiltinVariational>()
                .is_some()
        );
    }
}

#[test]
fn pruning_counts_a_tied_weight_once_and_zeroes_it_in_both_places() {
    for net in both_ways(&Device::flex()) {
        let (net, report) = net.prune_by_signal_to_noise(1.0);
        assert_eq!((report.pruned, report.total), (9, 9));
        for layer in net.both() {
            assert_eq!(values(layer.weight.base()), [0.0; 9]);
            assert_eq!(values(layer.weight.val()), [0.0; 9]);
        }
    }
}

#[test]
fn a_deterministic_tied_weight_is_retied_too() {
    let device = Device::flex();
    let mut net = tied(layer(&device));
    let first = &mut net.first[0];
    first.weight = first.weight.clone().map(|weight| weight.zeros_like());
    let net = net.retie();
    assert_eq!(values(net.second().weight.val()), [0.0; 9]);
}

/// Bayesian at the first place alone, and at the second alone.
fn at_one_place(device: &Device) -> [Tied; 2] {
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    let plain = layer(device);
    let bayesian = plain.clone().bayesianize(&config);
    in_either_order(&bayesian, &plain).map(|(net, _)| net)
}

#[test]
fn a_weight_that_is_bayesian_at_one_place_is_one_weight_and_retying_makes_it_so_at_all() {
    let device = Device::flex().autodiff();
    for net in at_one_place(&device) {
        assert!(net.has_tied_weights());
        assert_eq!(net.num_bayesian_weights(), 9);
        assert_eq!(net.num_posterior_params(), 18);
        assert_eq!(net.kl_terms()[0].path, "first.0.weight");
        let summary = net.bayesian_summary();
        assert_eq!(summary.posteriors(), ["Normal"]);
        assert!(summary.deterministic.is_empty());

        let kl = scalar(net.kl_cost());
        let mut net = net.retie();
        assert_eq!(scalar(net.kl_cost()), kl);
        for index in 0..3 {
            let [first, second] =
                net.with_draw(1, index, |net| net.both().map(|l| values(l.weight.val())));
            assert_eq!(first, second);
            let before = values(net.second().weight.base());
            net = step(net, Tied::forward, index).retie();
            let [first, second] = net.both().map(|l| values(l.weight.base()));
            assert_eq!(first, second);
            assert_ne!(second, before);
            let [first, second] = net.both().map(|layer| values(rho(layer)));
            assert_eq!(first, second);
        }
    }
}

#[test]
fn what_takes_posteriors_off_puts_that_of_one_place_back_at_all() {
    let device = Device::flex();
    for net in at_one_place(&device) {
        for only in ["first", "second"] {
            let moped = net.clone().moped(&MopedConfig::new().only(only));
            assert_eq!(moped.num_bayesian_weights(), 9, "{only}");
            for layer in moped.both() {
                let posterior = layer.weight.reparameterization::<MopedVariational>();
                assert!(posterior.is_some(), "{only}");
            }
        }
        let changed = [
            net.clone().map_means::<()>(Ok).unwrap(),
            net.clone().prune_by_signal_to_noise(0.5).0,
            net.clone().posterior_as_prior(),
            net.bayesianize(&BayesianizeConfig::new().replace_existing()),
        ];
        for (number, net) in changed.into_iter().enumerate() {
            assert_eq!(net.kl_terms().len(), 1, "{number}");
            let [first, second] =
                net.with_draw(5, 1, |net| net.both().map(|l| values(l.weight.val())));
            assert_eq!(first, second, "{number}");
        }
    }
}

/// Two networks with posteriors of their own whose tensors have the ids of one file.
fn from_one_file(device: &Device) -> Tied {
    let bayesian = || layer(device).bayesianize(&BayesianizeConfig::new());
    let file = bayesian();
    let loaded = || bayesian().load_record(file.clone().into_record());
    let net = side_by_side(loaded(), loaded());
    let [first, second] = net.both().map(|layer| layer.weight.id);
    assert_eq!(first, second);
    net
}

#[test]
fn two_networks_that_were_loaded_from_one_file_are_not_tied() {
    let device = Device::flex();
    let net = from_one_file(&device);
    assert!(!net.has_tied_weights());
    assert_eq!(net.num_bayesian_weights(), 18);
    let zeros_first = |mut net: Tied| {
        net.first[0].weight = net.first[0].weight.clone().map(|mean| mean.zeros_like());
        Ok::<_, ()>(net)
    };
    let net = net.map_means(zeros_first).unwrap().retie();
    // Also while both are without a posterior, to get another.
    for net in [net.clone(), net.clone().moped(&MopedConfig::new())] {
        assert_eq!(values(net.first[0].weight.base()), [0.0; 9]);
        assert_ne!(values(net.second().weight.base()), [0.0; 9]);
        assert_eq!(net.num_bayesian_weights(), 18);
    }

    // A third one without a posterior belongs to neither.
    let [first, second] = net.both().map(Linear::clone);
    let mut plain = layer(&device);
    plain.weight = Param::initialized(first.weight.id, plain.weight.val());
    let three = Tied {
        first: vec![plain, first],
        second: Head::Linear(second),
    };
    assert!(!three.has_tied_weights());
    assert_eq!(three.retie().num_bayesian_weights(), 18);
}

#[test]
fn one_of_two_networks_from_one_file_gets_a_posterior_without_the_other_losing_its_own() {
    let net = from_one_file(&Device::flex());
    let replaced = [
        net.clone().moped(&MopedConfig::new().only("first")),
        net.replace_posteriors(|weight| {
            let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
            (weight.path == "first.0.weight").then(|| (posterior, NormalPrior::new(1.0)))
        }),
    ];
    for net in replaced {
        assert_eq!(net.num_bayesian_weights(), 18);
        let [first, second] = net.both().map(|layer| {
            layer
                .weight
                .reparameterization::<BuiltinVariational>()
                .is_some()
        });
        assert_eq!((first, second), (false, true));
    }
}

#[test]
fn a_frozen_copy_of_a_network_beside_it_is_not_tied() {
    let device = Device::flex().autodiff();
    let frozen = layer(&device).freeze();
    let student = frozen.clone().unfreeze().moped(&MopedConfig::new());
    assert_eq!(student.weight.id, frozen.weight.id);
    for (net, _) in in_either_order(&student, &frozen) {
        assert!(!net.has_tied_weights());
        let net = net.map_means::<()>(Ok).unwrap();
        let posteriors = net.both().map(|layer| {
            layer
                .weight
                .reparameterization::<MopedVariational>()
                .is_some()
        });
        assert_eq!(posteriors.iter().filter(|is_there| **is_there).count(), 1);
    }
}

#[test]
fn a_frozen_copy_is_a_weight_of_its_own_before_either_has_a_posterior() {
    let device = Device::flex().autodiff();
    let student = layer(&device);
    let mut teacher = student.clone().freeze();
    teacher.weight = teacher.weight.map(|weight| weight * 2.0);
    assert_eq!(student.weight.id, teacher.weight.id);
    for (net, student_at) in in_either_order(&student, &teacher) {
        let assert_kept = |net: &Tied| {
            let kept = net.both()[1 - student_at];
            assert_eq!(values(kept.weight.val()), values(teacher.weight.val()));
            assert!(!kept.weight.is_require_grad());
            assert!(
                kept.weight
                    .reparameterization::<BuiltinVariational>()
                    .is_none()
            );
        };
        assert!(!net.has_tied_weights());
        assert_kept(&net.clone().retie());
        let bayesian = net.bayesianize(&BayesianizeConfig::new());
        assert_eq!(bayesian.num_bayesian_weights(), 9);
        assert_kept(&bayesian);
        assert_kept(&bayesian.clone().map_means::<()>(Ok).unwrap());
        assert_kept(&bayesian.prune_by_signal_to_noise(0.5).0);
    }
}

#[test]
fn a_pass_of_moments_tells_weights_of_one_id_apart() {
    let device = Device::flex();
    let plain = layer(&device);
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    let other = |layer: Linear| {
        let shifted = layer.map_means::<()>(|mut layer| {
            layer.weight = layer.weight.map(|mean| mean + 1.0);
            Ok(layer)
        });
        shifted.unwrap().scale_deviations(2.0)
    };
    let bayesian = || plain.clone().bayesianize(&config);
    for (first, second) in [
        (bayesian(), plain.clone().freeze()),
        (plain.clone().freeze(), bayesian()),
        (bayesian(), other(bayesian())),
        (
            bayesian().freeze_sampling(),
            other(bayesian()).freeze_sampling(),
        ),
    ] {
        assert_eq!(first.weight.id, second.weight.id);
        let alone = [&first, &second].map(moments);
        let net = side_by_side(first, second);
        assert_eq!(net.with_moments(|net| net.both().map(moments)), Ok(alone));
    }
}

/// The means, the variances and the second moments of a layer's weight.
fn moments(layer: &Linear) -> [Vec<f32>; 3] {
    let weight = WeightMoments::of(&layer.weight);
    let variance = weight.variance.clone().map_or_else(Vec::new, values);
    [
        values(weight.mean.clone()),
        variance,
        values(weight.second_moment()),
    ]
}

/// The first factor of the adapter at each place.
fn factors(net: &Tied) -> [Vec<f32>; 2] {
    net.both()
        .map(|layer| values(layer.weight.adapter().unwrap().a.base()))
}

#[test]
fn adapters_of_a_tied_weights_places_stay_apart_and_one_in_both_places_stays_one() {
    let device = Device::flex().autodiff();
    let config = BayesianizeConfig::new();
    let lora = Lora::new(2, 4.0);
    let apart = tied(layer(&device)).apply_lora(lora.clone());
    let apart = apart.bayesianize(&config);
    assert_eq!(apart.num_bayesian_weights(), 24);
    let left = step(apart, Tied::forward, 0);
    let retied = left.clone().retie();
    assert_eq!(factors(&retied), factors(&left));
    assert_ne!(factors(&retied)[0], factors(&retied)[1]);
    assert_eq!(retied.num_bayesian_weights(), 24);
    assert_eq!(retied.kl_terms().len(), 4);

    let one = tied(layer(&device).apply_lora(lora)).bayesianize(&config);
    assert_eq!(one.num_bayesian_weights(), 12);
    let left = step(one, Tied::forward, 0);
    assert_ne!(factors(&left)[0], factors(&left)[1]);
    let [first, second] = factors(&left.clone().retie());
    assert_eq!(first, second);
    assert_eq!(first, factors(&left)[0]);
}

#[test]
fn an_adapter_at_a_later_place_of_a_tied_weight_is_not_merged() {
    let later = ParamGroup::from_path("second.Linear.weight");
    let net = tied(layer(&Device::flex())).apply_lora(Lora::new(2, 4.0).set_param_group(later));
    let config = BayesianizeConfig::new();
    let replaced = net
        .bayesianize(&config)
        .try_bayesianize(&config.replace_existing());
    assert!(matches!(
        replaced.unwrap_err(),
        BayesianizeError::OtherReparameterization { weight, .. } if weight == "second.Linear.weight"
    ));
}

/// Those of tensors and flags. (The numbers that don't train have one for all.)
fn ids(layer: &Linear) -> Vec<ParamId> {
    struct Ids(Vec<ParamId>);

    impl ModuleVisitor for Ids {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.id);
        }

        fn visit_flag(&mut self, flag: &Param<Flag>) {
            self.0.push(flag.id);
        }
    }

    let mut ids = Ids(Vec::new());
    layer.visit(&mut ids);
    ids.0
}

#[test]
fn weights_that_are_not_tied_get_identities_of_their_own_and_those_that_are_stay_tied() {
    let device = Device::flex().autodiff();
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    let student = layer(&device).bayesianize(&config);
    let teacher = student.clone().freeze();
    for (net, student_at) in in_either_order(&student, &teacher) {
        // It is neither overwritten by what trains, nor the other way round.
        assert!(!net.has_tied_weights());
        let net = net.with_weights_apart();
        let both = net.both();
        let [student_now, teacher_now] = [both[student_at], both[1 - student_at]];
        assert_eq!(ids(student_now), ids(&student));
        for (now, before) in ids(teacher_now).iter().zip(ids(&teacher)) {
            assert_ne!(*now, before);
        }
        // A sample each, of a posterior each.
        let drawn = net.with_draw(1, 2, |net| net.both().map(|l| values(l.weight.val())));
        assert_ne!(drawn[0], drawn[1]);
        assert_eq!(net.kl_terms().len(), 2);
    }

    // The workers of a training have them from copies of their own.
    let net = from_one_file(&device);
    let copy = net.clone().with_weights_apart();
    let net = net.with_weights_apart();
    let [first, second] = net.both().map(ids);
    assert!(first.iter().all(|id| !second.contains(id)));
    assert_eq!(copy.both().map(ids), [first, second]);

    let tied = tied(student);
    let before = tied.both().map(ids);
    assert_eq!(tied.clone().with_weights_apart().both().map(ids), before);
    let own = tied.clone().with_own_identities();
    assert!(own.has_tied_weights());
    let [first, second] = own.both().map(ids);
    assert_eq!(first, second);
    assert!(first.iter().all(|id| !before[0].contains(id)));
    let draw = |net: &Tied| values(net.with_draw(3, 0, |net| net.forward(input(&device))));
    assert_eq!(draw(&own), draw(&tied));
}

/// Two epochs of one training, neither of which trains any more.
#[test]
fn snapshots_of_one_network_are_two_weights_and_a_frozen_tied_one_is_one() {
    let device = Device::flex().autodiff();
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    let early = layer(&device).bayesianize(&config);
    let wider = early.clone().scale_deviations(7.0);
    let moved = |net: Linear| {
        let means = net.map_means(|mut means: Linear| {
            means.weight = means.weight.map(|weight| weight.full_like(4.0));
            Ok::<_, ()>(means)
        });
        means.unwrap()
    };
    let numbers = |net: &Tied| {
        net.both().map(|layer| {
            let marginals = layer.weight_marginals().swap_remove(0);
            (marginals.means, marginals.std_devs)
        })
    };
    for late in [wider.clone(), moved(early.clone()), moved(wider)] {
        let [early, late] = [&early, &late].map(|net| net.clone().freeze().unfreeze_sampling());
        for (net, _) in in_either_order(&early, &late) {
            let before = numbers(&net);
            assert!(std::panic::catch_unwind(AssertUnwindSafe(|| drop(net.draw(1, 0)))).is_err());
            assert!(!net.has_tied_weights());
            assert_eq!(net.num_bayesian_weights(), 18);
            assert_eq!(numbers(&net.clone().retie()), before);
            assert_eq!(numbers(&net.clone().map_means::<()>(Ok).unwrap()), before);
            let apart = net.clone().with_weights_apart();
            assert_eq!(numbers(&apart), before);
            assert_ne!(ids(apart.both()[0]), ids(apart.both()[1]));
            let drawn = apart.with_draw(1, 0, |net| net.both().map(|l| values(l.weight.val())));
            assert_ne!(drawn[0], drawn[1]);
        }
    }
    let frozen = tied(early).freeze().unfreeze_sampling();
    let drawn = frozen.with_draw(1, 0, |net| net.both().map(|l| values(l.weight.val())));
    assert_eq!(drawn[0], drawn[1]);
    assert!(frozen.has_tied_weights());
    assert_eq!(frozen.num_bayesian_weights(), 9);
}

/// As files of PyTorch have a tied weight: once, by one of its names.
#[test]
fn a_tied_weight_is_loaded_at_whichever_of_its_places() {
    let device = Device::flex();
    let loaded = |net: Tied, at: [Option<f32>; 2]| {
        let load = |layer: &mut Linear, value: Option<f32>| {
            if let Some(value) = value {
                let param = layer.weight.clone();
                layer.weight = param.map(|weight| weight.full_like(value));
            }
        };
        let net = net.map_means(|mut means| {
            load(&mut means.first[0], at[0]);
            let Head::Linear(second) = &mut means.second;
            load(second, at[1]);
            Ok::<_, ()>(means)
        });
        net.unwrap()
            .both()
            .map(|layer| values(layer.weight.base())[0])
    };
    let own = values(layer(&device).weight.val())[0];
    for net in [both_ways(&device).to_vec(), vec![tied(layer(&device))]].concat() {
        assert_eq!(loaded(net.clone(), [None, None]), [own, own]);
        assert_eq!(loaded(net.clone(), [Some(3.0), None]), [3.0, 3.0]);
        assert_eq!(loaded(net.clone(), [None, Some(4.0)]), [4.0, 4.0]);
        assert_eq!(loaded(net.clone(), [Some(3.0), Some(4.0)]), [3.0, 3.0]);
        // As a step in a loop of one's own leaves it: the first place is ahead.
        let mut ahead = net;
        let first = ahead.first[0].weight.clone();
        ahead.first[0].weight = first.map(|weight| {
            let trains = weight.is_require_grad();
            weight.full_like(2.0).set_require_grad(trains)
        });
        assert_eq!(loaded(ahead.clone(), [None, None]), [2.0, 2.0]);
        assert_eq!(loaded(ahead, [None, Some(4.0)]), [4.0, 4.0]);
    }
}

/// A teacher whose posterior is what the student's was, and both have one identity still.
#[test]
fn what_changes_all_posteriors_changes_each_of_a_student_and_its_teacher() {
    let device = Device::flex().autodiff();
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    let past = layer(&device).bayesianize(&config);
    let now = past.clone().scale_deviations(7.0);
    let std = |layer: &Linear| layer.weight_marginals()[0].std_devs[0];
    for (net, student_at) in in_either_order(&now, &past.clone().freeze().unfreeze_sampling()) {
        let assert_stds = |net: &Tied, expected: [f32; 2], what: &str| {
            let both = net.both();
            let found = [both[student_at], both[1 - student_at]].map(std);
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{what}: {found} for {expected}"
                );
            }
        };
        let own = || net.clone();
        assert_stds(&own(), [0.7, 0.1], "as they are");
        assert_stds(&own().scale_deviations(2.0), [1.4, 0.2], "scaled");
        assert_stds(&own().map_means::<()>(Ok).unwrap(), [0.7, 0.1], "mapped");
        assert_stds(&own().prune_by_signal_to_noise(0.0).0, [0.7, 0.1], "pruned");
        assert_stds(&own().posterior_as_prior(), [0.7, 0.1], "as priors");
        let kl = own().posterior_as_prior().kl_terms();
        assert!(
            kl.iter()
                .all(|term| scalar(term.value.clone()).abs() < 1e-4)
        );
        let other = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.3));
        let replaced = own().bayesianize(&other.replace_existing());
        assert_stds(&replaced, [0.3, 0.1], "replaced");

        let teacher = ["first.", "second."][1 - student_at];
        let drawn = std::panic::catch_unwind(AssertUnwindSafe(|| drop(net.draw(1, 0))));
        let message = *drawn.unwrap_err().downcast::<String>().unwrap();
        assert!(
            message.starts_with("first.0.weight and second.Linear.weight are two weights"),
            "{message}"
        );
        let still = own().freeze_sampling_group(ParamGroup::from_predicate(teacher));
        let drawn = still.with_draw(1, 0, |net| net.both().map(|l| values(l.weight.val())));
        let means = net.both().map(|layer| values(layer.weight.base()));
        assert_ne!(drawn[student_at], means[student_at]);
        assert_eq!(drawn[1 - student_at], means[1 - student_at]);
    }
}

#[test]
fn what_towers_share_among_their_own_weights_they_go_on_sharing() {
    let device = Device::flex().autodiff();
    let tower = [layer(&device), layer(&device)];
    let prior = BayesianizeConfig::new().with_prior(PriorConfig::learned_normal(0.5));
    let file = tower.bayesianize(&prior);
    let loaded = || {
        let fresh = [layer(&device), layer(&device)].bayesianize(&prior);
        fresh.load_record(file.clone().into_record())
    };
    let towers = vec![loaded(), loaded(), loaded()].with_weights_apart();
    assert_distinct(towers.iter().flatten());
}

/// No two of the layers have an identity in common.
fn assert_distinct<'a>(layers: impl IntoIterator<Item = &'a Linear>) {
    let all: Vec<_> = layers.into_iter().flat_map(ids).collect();
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn a_new_identity_is_one_that_nothing_in_the_module_has() {
    let device = Device::flex().autodiff();
    let students = from_one_file(&device).with_weights_apart();
    let before = students.both().map(ids);
    for student_at in [0, 1] {
        let mut both = vec![students.clone(), students.clone().freeze()];
        both.rotate_right(student_at);
        let both = both.with_weights_apart();
        assert_eq!(both[student_at].both().map(ids), before);
        assert_distinct(both.iter().flat_map(Tied::both));
    }
    // From the file of networks that were told apart before it was written.
    let file = students.into_record();
    let loaded = || from_one_file(&device).load_record(file.clone());
    let towers = vec![loaded(), loaded()].with_weights_apart();
    assert_distinct(towers.iter().flat_map(Tied::both));
}

#[test]
fn new_identities_are_those_that_checkpoints_have() {
    let mut student = layer(&Device::flex());
    student.weight.id = ParamId::from(7);
    let [teacher, student] = [student.clone().freeze(), student].with_weights_apart();
    assert_eq!(student.weight.id.val(), 7);
    // `DefaultHasher` of (7_u64, 1_usize).
    assert_eq!(teacher.weight.id.val(), 10_146_017_361_091_682_965);
}

#[test]
fn networks_that_are_two_by_their_posteriors_are_two_in_their_deterministic_weights() {
    let device = Device::flex().autodiff();
    // A body that is tied in itself, and a head.
    let tower = || (tied(layer(&device)), layer(&device));
    let head = BayesianizeConfig::new().only("1");
    let plain = tower();
    let file = plain.clone().bayesianize(&head).into_record();
    let loaded = || tower().bayesianize(&head).load_record(file.clone());
    let towers = vec![loaded(), loaded(), plain.clone()];
    let mistaken = ["0.0.first.0.weight", "1.0.first.0.weight"].map(String::from);
    assert_eq!(mistaken_for_one(&towers), Some(mistaken));

    let mut moved = towers.clone();
    let weight = &mut moved[0].0.first[0].weight;
    *weight = weight
        .clone()
        .map(|weight| (weight + 1.0).detach().require_grad());
    let retied = moved.clone().retie();
    for (retied, expected) in retied.iter().zip([&moved[0], &towers[1], &towers[2]]) {
        let expected = values(expected.0.first[0].weight.val());
        let both = retied.0.both().map(|layer| values(layer.weight.val()));
        assert_eq!(both, [expected.clone(), expected]);
    }

    let apart = towers.with_weights_apart();
    assert_eq!(mistaken_for_one(&apart), None);
    for (body, _) in &apart {
        let [first, second] = body.both().map(ids);
        assert_eq!(first, second);
    }
    let distinct = apart.iter().flat_map(|(body, head)| [&body.first[0], head]);
    assert_distinct(distinct);

    // Without posteriors nothing tells them from one network whose places are tied.
    let twice = vec![plain.clone(), plain];
    assert_eq!(mistaken_for_one(&twice), None);
    let [first, second] = [0, 1].map(|tower| ids(&twice[tower].1));
    assert_eq!(first, second);
    let apart = twice.with_weights_apart();
    assert_eq!([0, 1].map(|tower| ids(&apart[tower].1)), [first, second]);
}

#[test]
fn deviations_that_train_about_frozen_means_are_told_apart() {
    let device = Device::flex().autodiff();
    let means_frozen = |net: Tied| {
        let means = net.both().map(|layer| layer.weight.id);
        net.freeze_group(ParamGroup::from_ids(means.to_vec()))
    };
    let net = means_frozen(from_one_file(&device));
    let mistaken = ["first.0.weight", "second.Linear.weight"].map(String::from);
    assert_eq!(mistaken_for_one(&net), Some(mistaken));
    let net = net.with_weights_apart();
    assert_eq!(mistaken_for_one(&net), None);
    assert_distinct(net.both());
    let before = net.both().map(|layer| values(rho(layer)));
    let after = step(net, Tied::forward, 0);
    for (layer, before) in after.both().into_iter().zip(before) {
        assert_ne!(values(rho(layer)), before);
    }

    // A frozen clone is no place of what trains in its deviations alone.
    let student = means_frozen(tied(layer(&device)).bayesianize(&BayesianizeConfig::new()));
    // Clones of what Burn has not initialized are frozen together.
    drop(rho(student.second()));
    let before = ids(student.second());
    for student_at in [0, 1] {
        let mut both = vec![student.clone(), student.clone().freeze()];
        both.rotate_right(student_at);
        assert!(mistaken_for_one(&both).is_some());
        let both = both.with_weights_apart();
        assert_eq!(mistaken_for_one(&both), None);
        assert_eq!(
            both[student_at].both().map(ids),
            [before.clone(), before.clone()]
        );
        assert_distinct(both.iter().map(Tied::second));
    }
}
