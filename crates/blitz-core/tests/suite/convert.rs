//! Any Burn module made Bayesian.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blitz_core::prelude::*;
use blitz_core::{
    BayesianizeError, BuiltinVariational, NormalPosterior, NormalPosteriorConfig, NormalPrior,
};
use burn::module::{Module, ParamGroup, list_param_ids};
use burn::nn::transformer::{TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{EmbeddingConfig, Linear, LinearConfig, gru::GruConfig, lstm::LstmConfig};
use burn::tensor::{Device, Int, Tensor};

use crate::net::{Net, rho, scalar, values};

#[test]
fn running_statistics_and_frozen_parameters_get_no_posterior() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let net = Net::bayesian(&device);
        // Two weights and a bias of the linear layers, gamma and beta; not the running mean and variance.
        assert_eq!(net.num_bayesian_weights(), 15 + 5 + 5 + 5 + 10);
        assert_eq!(net.num_posterior_params(), 2 * net.num_bayesian_weights());

        let mut frozen = Net::plain(&device);
        frozen.hidden = frozen.hidden.no_grad();
        let last_layers = frozen.bayesianize(&BayesianizeConfig::new());
        assert_eq!(last_layers.num_bayesian_weights(), 5 + 5 + 10);
    }
}

#[test]
fn converting_what_is_bayesian_already_is_refused_with_the_ways_out() {
    let net = Net::bayesian(&Device::flex());
    let narrow = BayesianizeConfig::new().with_prior(PriorConfig::normal(0.01));
    let error = net.clone().try_bayesianize(&narrow).unwrap_err();
    let BayesianizeError::AlreadyBayesian { weights } = &error else {
        panic!("{error}");
    };
    assert!(
        weights.contains(&"hidden.weight".to_string()),
        "{weights:?}"
    );
    for way_out in [".replace_existing()", ".keep_existing()"] {
        assert!(error.to_string().contains(way_out), "{error}");
    }
    // Also where a part alone is Bayesian, and twice the same.
    let partly = Net::plain(&Device::flex()).bayesianize(&BayesianizeConfig::new().only("output"));
    assert!(partly.clone().try_bayesianize(&narrow).is_err());
    assert!(
        partly
            .try_bayesianize(&BayesianizeConfig::new().only("output"))
            .is_err()
    );
    // What is not chosen is nobody's business.
    let rest = Net::plain(&Device::flex()).bayesianize(&BayesianizeConfig::new().only("output"));
    let whole = rest.bayesianize(&BayesianizeConfig::new().skip("output"));
    assert_eq!(whole.num_bayesian_weights(), net.num_bayesian_weights());

    let kept = net.clone().bayesianize(&narrow.clone().keep_existing());
    assert_eq!(scalar(kept.kl_cost()), scalar(net.kl_cost()));
    let replaced = net.clone().bayesianize(&narrow.replace_existing());
    assert_eq!(replaced.num_bayesian_weights(), net.num_bayesian_weights());
    assert!(scalar(replaced.kl_cost()) > 10.0 * scalar(net.kl_cost()));
    let means = |net: &Net| values(net.hidden.weight.base());
    assert_eq!(means(&replaced), means(&net));
}

#[test]
fn posteriors_of_ones_own_replace_or_are_refused() {
    let normal = |weight: blitz_core::WeightInfo<'_>| {
        let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((posterior, NormalPrior::new(0.5)))
    };
    let net = Net::bayesian(&Device::flex());
    let refused = {
        let attach = || net.clone().attach_posteriors(normal);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(attach)).unwrap_err()
    };
    let message = refused.downcast_ref::<String>().unwrap();
    assert!(message.contains("replace_posteriors"), "{message}");
    let replaced = net.clone().replace_posteriors(normal);
    assert_eq!(replaced.posteriors::<NormalPosterior>().len(), 5);
    assert_eq!(replaced.num_bayesian_weights(), net.num_bayesian_weights());
}

#[test]
fn a_module_of_which_nothing_can_be_converted_says_why() {
    let device = Device::flex().autodiff();
    let frozen = Net::plain(&device).freeze();
    let adapted = Net::plain(&device).hidden.no_grad();
    let reasons = |error: BayesianizeError| match error {
        BayesianizeError::NothingToConvert { reasons } => reasons,
        error => panic!("{error}"),
    };
    let config = BayesianizeConfig::new();
    let of_frozen = reasons(frozen.clone().try_bayesianize(&config).unwrap_err());
    assert!(
        of_frozen.contains(&"hidden.weight does not train".to_string()),
        "{of_frozen:?}"
    );
    assert!(!reasons(frozen.try_moped(&MopedConfig::new()).unwrap_err()).is_empty());
    assert!(!reasons(adapted.try_bayesianize(&config).unwrap_err()).is_empty());
    let frozen = Net::bayesian(&device).freeze();
    let replaced = frozen.try_bayesianize(&config.clone().replace_existing());
    assert!(!reasons(replaced.unwrap_err()).is_empty());
    let skipped = Net::plain(&device).try_bayesianize(&config.clone().skip("**"));
    assert_eq!(reasons(skipped.unwrap_err()), ["every weight is skipped"]);
    let without = burn::nn::Relu::new().try_bayesianize(&config).unwrap_err();
    assert!(
        without.to_string().contains("no floating-point parameters"),
        "{without}"
    );
}

#[test]
fn a_group_chooses_by_path() {
    let config = BayesianizeConfig::new().only(ParamGroup::from_path("output.weight"));
    let net = Net::plain(&Device::flex()).bayesianize(&config);
    assert_eq!(net.num_bayesian_weights(), 10);
    assert!(
        net.output
            .weight
            .reparameterization::<BuiltinVariational>()
            .is_some()
    );
    assert!(
        net.hidden
            .weight
            .reparameterization::<BuiltinVariational>()
            .is_none()
    );
}

#[test]
fn parameters_and_paths_of_the_deterministic_module_stay() {
    let device = Device::flex();
    let plain = Net::plain(&device);
    let net = plain.clone().bayesianize(&BayesianizeConfig::new());
    let ids = list_param_ids(&net);
    assert!(list_param_ids(&plain).iter().all(|id| ids.contains(id)));
    // A deterministic record goes straight into the means.
    let record = Net::plain(&device).into_record();
    let expected = Net::plain(&device).load_record(record.clone());
    let loaded = net.load_record(record.allow_partial(true));
    assert_eq!(
        values(loaded.output.weight.base()),
        values(expected.output.weight.val())
    );
}

#[test]
fn a_record_of_another_architecture_is_refused_by_name() {
    let device = Device::flex();
    let record = Net::plain(&device).into_record();
    let error = Net::bayesian(&device)
        .try_load_record(record)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("hidden.weight.bayes.posterior.Normal.rho"),
        "{error}"
    );
}

#[test]
fn gradients_reach_mean_and_deviation() {
    let device = Device::flex().autodiff();
    let net = Net::bayesian(&device);
    let _draw = net.draw(1, 0);
    let grads = net
        .output
        .forward(Tensor::<2>::ones([1, 5], &device))
        .sum()
        .backward();
    assert!(net.output.weight.base().grad(&grads).is_some());
    let rho = rho(&net.output).grad(&grads).expect("a gradient for rho");
    assert!(values(rho).iter().all(|g| *g != 0.0));
}

#[test]
fn burns_recurrent_attention_and_embedding_layers_convert_unchanged() {
    let device = Device::flex().autodiff();
    let config = BayesianizeConfig::new();
    let tokens = Tensor::<2, Int>::from_ints([[1, 2, 0, 3]], &device);
    let embedding = EmbeddingConfig::new(5, 4)
        .init(&device)
        .bayesianize(&config);
    let lstm = LstmConfig::new(4, 4, true)
        .init(&device)
        .bayesianize(&config);
    let gru = GruConfig::new(4, 4, true)
        .init(&device)
        .bayesianize(&config);
    let encoder = TransformerEncoderConfig::new(4, 8, 2, 1)
        .init(&device)
        .bayesianize(&config);
    let modules = (embedding, lstm, gru, encoder);
    let run = |(embedding, lstm, gru, encoder): &(_, _, _, _)| -> Tensor<3> {
        let embedding: &burn::nn::Embedding = embedding;
        let lstm: &burn::nn::lstm::Lstm = lstm;
        let gru: &burn::nn::gru::Gru = gru;
        let encoder: &burn::nn::transformer::TransformerEncoder = encoder;
        let embedded = embedding.forward(tokens.clone());
        let (sequence, _) = lstm.forward(embedded, None);
        encoder.forward(TransformerEncoderInput::new(gru.forward(sequence, None)))
    };
    // Encoder dropout is active on an autodiff device; it has its own randomness, so compare without it.
    let valid = (
        modules.0.valid(),
        modules.1.valid(),
        modules.2.valid(),
        modules.3.valid(),
    );
    let plain_run = |index| {
        let _draw = valid.draw(3, index);
        let tokens = tokens.clone().without_autodiff();
        let (sequence, _) = valid.1.forward(valid.0.forward(tokens), None);
        values(valid.3.forward(TransformerEncoderInput::new(
            valid.2.forward(sequence, None),
        )))
    };
    assert_eq!(plain_run(0), plain_run(0));
    assert_ne!(plain_run(0), plain_run(1));

    let _draw = modules.draw(3, 0);
    let loss = run(&modules).sum() + modules.kl_cost().sum();
    let grads = loss.backward();
    let rho = |weight: &burn::module::Param<Tensor<2>>| {
        weight
            .reparameterization::<BuiltinVariational>()
            .unwrap()
            .posterior
            .as_normal()
            .unwrap()
            .rho
            .val()
    };
    assert!(rho(&modules.0.weight).grad(&grads).is_some());
    assert!(
        rho(&modules.1.input_gate.input_transform.weight)
            .grad(&grads)
            .is_some()
    );
    assert!(
        rho(&modules.2.update_gate.hidden_transform.weight)
            .grad(&grads)
            .is_some()
    );
}

#[test]
fn frozen_sampling_reads_the_mean_and_survives_valid_train_and_records() {
    let device = Device::flex().autodiff();
    let net = Net::bayesian(&device).freeze_sampling();
    let mean = values(net.output.weight.base());
    let read = |net: &Net| net.with_draw(1, 0, |net| values(net.output.weight.val()));
    assert_eq!(read(&net), mean);
    assert_eq!(read(&net.valid()), mean);
    assert_eq!(read(&net.valid().train()), mean);
    assert_eq!(
        read(&net.clone().load_record(net.clone().into_record())),
        mean
    );
    assert_ne!(read(&net.unfreeze_sampling()), mean);
}

#[test]
fn sampling_goes_on_after_valid() {
    let net = Net::bayesian(&Device::flex().autodiff()).valid();
    assert_ne!(
        values(net.output.weight.val()),
        values(net.output.weight.base())
    );
}

#[test]
fn a_part_of_a_model_freezes_by_path() {
    let net = Net::bayesian(&Device::flex())
        .freeze_sampling_group(ParamGroup::from_path("output.weight"));
    let _draw = net.draw(1, 0);
    assert_eq!(
        values(net.output.weight.val()),
        values(net.output.weight.base())
    );
    assert_ne!(
        values(net.hidden.weight.val()),
        values(net.hidden.weight.base())
    );
}

#[test]
fn freezing_does_not_change_the_kl() {
    let net = Net::bayesian(&Device::flex());
    let kl = values(net.kl_cost());
    assert_eq!(kl, values(net.freeze_sampling().kl_cost()));
}

#[test]
fn the_means_trained_while_frozen_are_the_means_sampled_later() {
    use burn::optim::{GradientsParams, SgdConfig};

    let device = Device::flex().autodiff();
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(1e-6));
    let mut net = LinearConfig::new(2, 1)
        .init(&device)
        .bayesianize(&config)
        .freeze_sampling();
    let before = values(net.weight.base());
    let mut optimizer = SgdConfig::new().init();
    for _ in 0..3 {
        let grads = net
            .forward(Tensor::<2>::ones([1, 2], &device))
            .sum()
            .backward();
        let grads = GradientsParams::from_grads(grads, &net);
        net = optimizer.step(0.5, net, grads);
    }
    let trained = values(net.weight.base());
    assert!(
        trained
            .iter()
            .zip(&before)
            .all(|(t, b)| (t - b + 1.5).abs() < 1e-6)
    );
    let sampled = net
        .unfreeze_sampling()
        .with_draw(1, 0, |net| values(net.weight.val()));
    assert!(
        sampled
            .iter()
            .zip(&trained)
            .all(|(s, t)| (s - t).abs() < 1e-5)
    );
}

#[test]
fn parts_freeze_to_the_mean_and_back_independently() {
    let device = Device::flex().autodiff();
    let hidden = || ParamGroup::from_predicate("hidden");
    let net = Net::bayesian(&device);
    let read = |net: &Net| {
        net.with_draw(1, 0, |net| {
            (
                values(net.hidden.weight.val()),
                values(net.output.weight.val()),
            )
        })
    };
    let (hidden_sample, output_sample) = read(&net);
    let hidden_mean = values(net.hidden.weight.base());
    let output_mean = values(net.output.weight.base());

    let part = net.clone().freeze_sampling_group(hidden());
    assert_eq!(read(&part), (hidden_mean.clone(), output_sample.clone()));
    // And through what Burn does with flags.
    assert_eq!(read(&part.valid().train()), read(&part));
    assert_eq!(
        read(&part.clone().load_record(net.clone().into_record())),
        read(&part)
    );
    let all = net.freeze_sampling();
    assert_eq!(read(&all), (hidden_mean, output_mean.clone()));
    let back = all.unfreeze_sampling_group(hidden());
    assert_eq!(read(&back), (hidden_sample.clone(), output_mean));
    assert_eq!(
        read(&back.unfreeze_sampling()),
        (hidden_sample, output_sample)
    );
}

#[test]
fn a_frozen_part_trains_its_means_and_the_rest_its_deviations_too() {
    use burn::optim::{GradientsParams, SgdConfig};

    let device = Device::flex().autodiff();
    let mut net =
        Net::bayesian(&device).freeze_sampling_group(ParamGroup::from_predicate("output"));
    let before = (
        values(net.output.weight.base()),
        values(rho(&net.output)),
        values(rho(&net.hidden)),
    );
    let mut optimizer = SgdConfig::new().init();
    for step in 0..3 {
        // More than two rows: of two, batch norm makes ±1 whatever the weights, and next to no gradient.
        let rows = [
            [1.0, -2.0, 0.5],
            [0.3, 0.2, 3.0],
            [-1.5, 0.7, -0.4],
            [2.0, 1.1, -0.9],
        ];
        let x = Tensor::<2>::from_floats(rows, &device);
        let guard = net.draw(1, step);
        let grads = net.forward(x).square().sum().backward();
        drop(guard);
        let grads = GradientsParams::from_grads(grads, &net);
        net = optimizer.step(0.1, net, grads);
    }
    let means = values(net.output.weight.base());
    assert_ne!(means, before.0);
    assert_eq!(values(rho(&net.output)), before.1);
    assert_ne!(values(rho(&net.hidden)), before.2);
    // The trained means are the ones that are sampled around: the draws' difference from them is the deviation.
    let frozen = net.with_draw(2, 0, |net| values(net.output.weight.val()));
    assert_eq!(frozen, means);
    let sigma = values(blitz_core::deviation::std_from_rho(rho(&net.output)));
    let sampled = net
        .unfreeze_sampling()
        .with_draw(2, 0, |net| values(net.output.weight.val()));
    assert_ne!(sampled, means);
    for ((sampled, mean), sigma) in sampled.iter().zip(&means).zip(sigma) {
        assert!((sampled - mean).abs() < 5.0 * sigma);
    }
}

#[test]
fn converting_initializes_nothing() {
    let layer = LinearConfig::new(3, 5).init(&Device::flex());
    let layer = layer.bayesianize(&BayesianizeConfig::new());
    assert!(!layer.weight.is_initialized());
    assert_eq!(layer.num_bayesian_weights(), 20);
}

#[test]
fn a_posterior_is_told_the_shape_in_the_layer_of_a_weight_saved_transposed() {
    use burn::nn::LinearLayout;

    let config = LinearConfig::new(3, 2).with_layout(LinearLayout::Col);
    let mut shapes = Vec::new();
    let net = config.init(&Device::flex()).attach_posteriors(|weight| {
        shapes.push(weight.shape.to_vec());
        let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((posterior, NormalPrior::new(1.0)))
    });
    assert_eq!(shapes, [vec![3, 2], vec![2]]);
    assert_eq!(net.weight.val().dims(), [3, 2]);
    // Its record has the other shape, which Burn refuses where a weight is initialized, as all are within `map_means`.
    let record = config.init(&Device::flex()).into_record();
    let loaded = net.map_means(|means| means.try_load_record(record));
    assert!(loaded.is_err());
}

/// What `map_means` says of a layer whose means are changed so.
fn refused_means(change: impl FnOnce(&mut Linear)) -> String {
    let net = LinearConfig::new(6, 10).init(&Device::flex());
    let net = net.bayesianize(&BayesianizeConfig::new());
    let mapped = catch_unwind(AssertUnwindSafe(|| {
        net.map_means(|mut means| {
            change(&mut means);
            Ok::<_, ()>(means)
        })
    }));
    *mapped.unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn means_that_fit_a_posterior_no_more_are_refused_by_their_path() {
    let other = LinearConfig::new(6, 4).init(&Device::flex());
    let message = refused_means(|means| means.weight = other.weight);
    assert!(message.starts_with("weight has a posterior"), "{message}");
    assert!(
        message.contains("[6, 10]") && message.contains("[6, 4]"),
        "{message}"
    );
    let message = refused_means(|means| means.bias = None);
    assert!(
        message.starts_with("bias has a posterior") && message.contains("no such parameter"),
        "{message}"
    );
}
