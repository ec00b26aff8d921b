//! `BayesianLstm` and `BayesianGru`.

use blitz_layers::prelude::*;
use burn::config::Config;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::nn::activation::{ActivationConfig, HardSigmoidConfig};
use burn::nn::{
    BiGru, BiGruConfig, BiLstm, BiLstmConfig, Gru, GruConfig, Initializer, Linear, Lstm,
    LstmConfig, LstmState,
};
use burn::tensor::{Device, Gradients, Tensor};

use crate::seeded::normals;
use crate::statistics::{assert_close, values};

const ESTIMATORS: [Estimator; 2] = [Estimator::SharedWeights, Estimator::Flipout];
const BATCH: usize = 2;
const LENGTH: usize = 3;
const D_INPUT: usize = 3;
const D_HIDDEN: usize = 4;

/// A sequence in the layout that the layer takes.
fn input(batch_first: bool, device: &Device) -> Tensor<3> {
    if batch_first {
        normals(1, [BATCH, LENGTH, D_INPUT], device)
    } else {
        normals(1, [LENGTH, BATCH, D_INPUT], device)
    }
}

fn random_state(states: usize, device: &Device) -> LstmState<3> {
    let state = |seed| normals(seed, [states, BATCH, D_HIDDEN], device);
    LstmState::new(state(2), state(3))
}

/// Every combination of `n` switches.
fn switches<const N: usize>() -> impl Iterator<Item = [bool; N]> {
    (0..1 << N).map(|bits| std::array::from_fn(|i| bits >> i & 1 == 1))
}

/// Burn's defaults, or three other activations.
fn activations(others: bool) -> [ActivationConfig; 3] {
    if others {
        let gate = ActivationConfig::HardSigmoid(HardSigmoidConfig::new());
        [gate, ActivationConfig::Softsign, ActivationConfig::Gelu]
    } else {
        [
            ActivationConfig::Sigmoid,
            ActivationConfig::Tanh,
            ActivationConfig::Tanh,
        ]
    }
}

#[test]
fn as_the_deviation_vanishes_every_option_equals_burns_lstm_and_bilstm() {
    let device = Device::flex();
    for [
        bias,
        batch_first,
        reverse,
        clipped,
        input_forget,
        others,
        bidirectional,
    ] in switches()
    {
        if bidirectional && reverse {
            continue;
        }
        let clip = clipped.then_some(0.2);
        let [gate, cell, hidden] = activations(others);
        let x = input(batch_first, &device);
        let state = random_state(1 + usize::from(bidirectional), &device);
        let (record, output, end) = if bidirectional {
            let plain = BiLstmConfig::new(D_INPUT, D_HIDDEN, bias)
                .with_batch_first(batch_first)
                .with_clip(clip)
                .with_input_forget(input_forget)
                .with_gate_activation(gate.clone())
                .with_cell_activation(cell.clone())
                .with_hidden_activation(hidden.clone())
                .init(&device);
            let (output, end) = plain.forward(x.clone(), Some(state.clone()));
            (plain.into_record(), output, end)
        } else {
            let plain = LstmConfig::new(D_INPUT, D_HIDDEN, bias)
                .with_batch_first(batch_first)
                .with_reverse(reverse)
                .with_clip(clip)
                .with_input_forget(input_forget)
                .with_gate_activation(gate.clone())
                .with_cell_activation(cell.clone())
                .with_hidden_activation(hidden.clone())
                .init(&device);
            let start = state.clone().squeeze_dim(0);
            let (output, end) = plain.forward(x.clone(), Some(start));
            (plain.into_record(), output, end.unsqueeze_dim(0))
        };
        for estimator in ESTIMATORS {
            let layer = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, bias)
                .with_batch_first(batch_first)
                .with_reverse(reverse)
                .with_clip(clip)
                .with_input_forget(input_forget)
                .with_gate_activation(gate.clone())
                .with_cell_activation(cell.clone())
                .with_hidden_activation(hidden.clone())
                .with_bidirectional(bidirectional)
                .with_posterior(PosteriorConfig::normal(1e-9))
                .with_estimator(estimator)
                .init(&device)
                .load_record(record.clone().allow_partial(true));
            let (got, got_end) = layer.forward(x.clone(), Some(state.clone()));
            let case = format!(
                "{estimator:?}: bias {bias}, batch_first {batch_first}, reverse {reverse}, clip {clip:?}, input_forget \
                 {input_forget}, other activations {others}, bidirectional {bidirectional}"
            );
            assert_close(got, output.clone(), &case);
            assert_close(got_end.cell, end.cell.clone(), &case);
            assert_close(got_end.hidden, end.hidden.clone(), &case);
        }
    }
}

#[test]
fn as_the_deviation_vanishes_every_option_equals_burns_gru_and_bigru() {
    let device = Device::flex();
    for [
        bias,
        batch_first,
        clipped,
        reset_after,
        others,
        bidirectional,
    ] in switches()
    {
        let clip = clipped.then_some(0.2);
        let [gate, hidden, _] = activations(others);
        let x = input(batch_first, &device);
        let state = normals(
            2,
            [1 + usize::from(bidirectional), BATCH, D_HIDDEN],
            &device,
        );
        let (record, output, end) = if bidirectional {
            let plain = BiGruConfig::new(D_INPUT, D_HIDDEN, bias)
                .with_batch_first(batch_first)
                .with_clip(clip)
                .with_reset_after(reset_after)
                .with_gate_activation(gate.clone())
                .with_hidden_activation(hidden.clone())
                .init(&device);
            let (output, end) = plain.forward(x.clone(), Some(state.clone()));
            (plain.into_record(), output, end)
        } else {
            let plain = GruConfig::new(D_INPUT, D_HIDDEN, bias)
                .with_clip(clip)
                .with_reset_after(reset_after)
                .with_gate_activation(gate.clone())
                .with_hidden_activation(hidden.clone())
                .init(&device);
            // Burn's takes the batch first only, and returns no state.
            let swap = |x: Tensor<3>| if batch_first { x } else { x.swap_dims(0, 1) };
            let output = plain.forward(swap(x.clone()), Some(state.clone().squeeze_dim(0)));
            let end = output.clone().narrow(1, LENGTH - 1, 1).swap_dims(0, 1);
            (plain.into_record(), swap(output), end)
        };
        for estimator in ESTIMATORS {
            let layer = BayesianGruConfig::new(D_INPUT, D_HIDDEN, bias)
                .with_batch_first(batch_first)
                .with_clip(clip)
                .with_reset_after(reset_after)
                .with_gate_activation(gate.clone())
                .with_hidden_activation(hidden.clone())
                .with_bidirectional(bidirectional)
                .with_posterior(PosteriorConfig::normal(1e-9))
                .with_estimator(estimator)
                .init(&device)
                .load_record(record.clone().allow_partial(true));
            let (got, got_end) = layer.forward(x.clone(), Some(state.clone()));
            let case = format!(
                "{estimator:?}: bias {bias}, batch_first {batch_first}, clip {clip:?}, reset_after {reset_after}, \
                 other activations {others}, bidirectional {bidirectional}"
            );
            assert_close(got, output.clone(), &case);
            assert_close(got_end, end.clone(), &case);
        }
    }
}

#[test]
fn a_reversed_gru_runs_over_the_flipped_sequence() {
    let device = Device::flex();
    let config = BayesianGruConfig::new(D_INPUT, D_HIDDEN, true);
    let forward = config.clone().init(&device).freeze_sampling();
    let reverse = config
        .with_reverse(true)
        .init(&device)
        .load_record(forward.clone().into_record());
    let x = input(true, &device);
    let (got, end) = reverse.with_mean(|layer| layer.forward(x.clone(), None));
    let (want, want_end) = forward.forward(x.flip([1]), None);
    assert_close(got, want.flip([1]), "output");
    assert_close(end, want_end, "state");
}

#[test]
fn stacked_layers_equal_burns_layers_chained() {
    let device = Device::flex();
    for bidirectional in [false, true] {
        let directions = 1 + usize::from(bidirectional);
        let lstm = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, true)
            .with_num_layers(3)
            .with_bidirectional(bidirectional)
            .init(&device);
        let gru = BayesianGruConfig::new(D_INPUT, D_HIDDEN, true)
            .with_num_layers(3)
            .with_bidirectional(bidirectional)
            .init(&device);
        let x = input(true, &device);
        let state = random_state(3 * directions, &device);

        let (mut lstm_output, mut gru_output) = (x.clone(), x.clone());
        let (mut lstm_ends, mut gru_ends) = (Vec::new(), Vec::new());
        for (index, (lstm, gru)) in lstm.layers.iter().zip(&gru.layers).enumerate() {
            let from = directions * index..directions * (index + 1);
            let state = state.clone().map_state(|s| s.slice([from.clone()]));
            let d_input = lstm_output.dims()[2];
            // The records of the cells are those of Burn's layers.
            let plain_lstm = |cell: &blitz_layers::BayesianLstmCell| -> Lstm {
                let plain = LstmConfig::new(d_input, D_HIDDEN, true).init(&device);
                plain.load_record(cell.mean_network().into_record())
            };
            let plain_gru = |cell: &blitz_layers::BayesianGruCell| -> Gru {
                let plain = GruConfig::new(d_input, D_HIDDEN, true).init(&device);
                plain.load_record(cell.mean_network().into_record())
            };
            if let (Some(lstm_reverse), Some(gru_reverse)) = (&lstm.reverse, &gru.reverse) {
                let mut plain: BiLstm = BiLstmConfig::new(d_input, D_HIDDEN, true).init(&device);
                plain.forward = plain_lstm(&lstm.forward);
                plain.reverse = plain_lstm(lstm_reverse);
                let (output, end) = plain.forward(lstm_output, Some(state.clone()));
                (lstm_output, _) = (output, lstm_ends.push(end));
                let mut plain: BiGru = BiGruConfig::new(d_input, D_HIDDEN, true).init(&device);
                plain.forward = plain_gru(&gru.forward);
                plain.reverse = plain_gru(gru_reverse);
                let (output, end) = plain.forward(gru_output, Some(state.hidden));
                (gru_output, _) = (output, gru_ends.push(end));
            } else {
                let plain = plain_lstm(&lstm.forward);
                let (output, end) = plain.forward(lstm_output, Some(state.clone().squeeze_dim(0)));
                (lstm_output, _) = (output, lstm_ends.push(end.unsqueeze_dim(0)));
                let plain = plain_gru(&gru.forward);
                let output = plain.forward(gru_output, Some(state.hidden.squeeze_dim(0)));
                gru_ends.push(output.clone().narrow(1, LENGTH - 1, 1).swap_dims(0, 1));
                gru_output = output;
            }
        }
        let case = format!("bidirectional {bidirectional}");
        let (output, end) = lstm.with_mean(|lstm| lstm.forward(x.clone(), Some(state.clone())));
        assert_close(output, lstm_output, &case);
        let (cells, hiddens) = lstm_ends.into_iter().map(LstmState::unpack).unzip();
        assert_close(end.cell, Tensor::cat(cells, 0), &case);
        assert_close(end.hidden, Tensor::cat(hiddens, 0), &case);
        let (output, end) = gru.with_mean(|gru| gru.forward(x, Some(state.hidden)));
        assert_close(output, gru_output, &case);
        assert_close(end, Tensor::cat(gru_ends, 0), &case);
    }
}

/// `x W + b` of one gate, in plain numbers.
fn affine(transform: &Linear, x: &[f64]) -> Vec<f64> {
    let weight = values(transform.weight.val());
    let bias = transform.bias.as_ref().map(|bias| values(bias.val()));
    (0..D_HIDDEN)
        .map(|j| {
            let product: f64 = (0..x.len()).map(|i| x[i] * weight[i * D_HIDDEN + j]).sum();
            product + bias.as_ref().map_or(0.0, |bias| bias[j])
        })
        .collect()
}

#[test]
fn peepholes_compute_the_equations_of_gers_and_schmidhuber() {
    let device = Device::flex();
    for [bias, input_forget, clipped] in switches() {
        let clip = clipped.then_some(0.3);
        let layer = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, bias)
            .with_peephole(true)
            .with_input_forget(input_forget)
            .with_clip(clip)
            .with_initializer(Initializer::Normal {
                mean: 0.0,
                std: 1.0,
            })
            .init(&device);
        let x = normals(1, [1, LENGTH, D_INPUT], &device);
        let (output, state) = layer.with_draw(3, 1, |layer| layer.forward(x.clone(), None));

        let drawn = layer.sample_network(3, 1);
        let cell = &drawn.layers[0].forward;
        let peephole = cell.peephole.as_ref().unwrap();
        let p_input = values(peephole.input.val());
        let p_forget = peephole.forget.as_ref().map(|p| values(p.val()));
        let p_output = values(peephole.output.val());
        assert_eq!(p_forget.is_none(), input_forget);
        let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
        let (mut c, mut h) = (vec![0.0; D_HIDDEN], vec![0.0; D_HIDDEN]);
        for (t, x) in values(x).chunks(D_INPUT).enumerate() {
            let gate = |gate: &burn::nn::GateController| -> Vec<f64> {
                let (a, b) = (
                    affine(&gate.input_transform, x),
                    affine(&gate.hidden_transform, &h),
                );
                a.iter().zip(b).map(|(a, b)| a + b).collect()
            };
            let (input, output_gate) = (gate(&cell.input_gate), gate(&cell.output_gate));
            let forget = cell.forget_gate.as_ref().map(gate);
            let candidate = gate(&cell.cell_gate);
            for j in 0..D_HIDDEN {
                let i = sigmoid(input[j] + p_input[j] * c[j]);
                let f = match (&forget, &p_forget) {
                    (Some(forget), Some(p)) => sigmoid(forget[j] + p[j] * c[j]),
                    _ => 1.0 - i,
                };
                c[j] = f * c[j] + i * candidate[j].tanh();
                if let Some(clip) = clip {
                    c[j] = c[j].clamp(-clip, clip);
                }
                h[j] = sigmoid(output_gate[j] + p_output[j] * c[j]) * c[j].tanh();
            }
            let got = values(output.clone().narrow(1, t, 1));
            for (got, want) in got.iter().zip(&h) {
                assert!((got - want).abs() < 1e-5, "step {t}: {got} for {want}");
            }
        }
        for (got, want) in values(state.cell).iter().zip(&c) {
            assert!((got - want).abs() < 1e-5);
        }
    }
}

#[test]
fn a_sequence_in_one_call_equals_its_halves_with_the_state_handed_over() {
    let device = Device::flex();
    for estimator in ESTIMATORS {
        let lstm = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, true)
            .with_num_layers(2)
            .with_peephole(true)
            .with_estimator(estimator)
            .with_posterior(PosteriorConfig::normal(0.5))
            .init(&device);
        let gru = BayesianGruConfig::new(D_INPUT, D_HIDDEN, true)
            .with_num_layers(2)
            .with_estimator(estimator)
            .with_posterior(PosteriorConfig::normal(0.5))
            .init(&device);
        let x = input(true, &device);
        let (first, second) = (
            x.clone().narrow(1, 0, 2),
            x.clone().narrow(1, 2, LENGTH - 2),
        );
        let case = format!("{estimator:?}");
        {
            let _draw = lstm.draw(5, 0);
            let (whole, end) = lstm.forward(x.clone(), None);
            let (a, state) = lstm.forward(first.clone(), None);
            let (b, state) = lstm.forward(second.clone(), Some(state));
            assert_close(Tensor::cat(vec![a, b], 1), whole, &case);
            assert_close(state.cell, end.cell, &case);
        }
        let _draw = gru.draw(5, 0);
        let (whole, end) = gru.forward(x, None);
        let (a, state) = gru.forward(first, None);
        let (b, state) = gru.forward(second, Some(state));
        assert_close(Tensor::cat(vec![a, b], 1), whole, &case);
        assert_close(state, end, &case);
    }
}

#[test]
fn time_steps_share_their_weights_without_an_open_draw() {
    // With gates that don't see the hidden state, the same input at each step, and no hidden activation, the outputs
    // are o·c with c' = f c + i g; so h2 - h1 = f h1 and h3 - h1 = f h2, if f, i, g and o are the same at each step. No
    // output is divided by: one may be near zero.
    let device = Device::flex();
    for estimator in ESTIMATORS {
        let hidden = ParamGroup::from_regex("hidden_transform").unwrap();
        let layer = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, true)
            .with_hidden_activation(ActivationConfig::Identity)
            .with_initializer(Initializer::Zeros)
            .with_posterior(PosteriorConfig::normal(0.5))
            .with_estimator(estimator)
            .init(&device);
        let layer = layer.freeze_sampling_group(hidden);
        let x = Tensor::<3>::ones([BATCH, 3, D_INPUT], &device);
        let (output, _) = layer.forward(x, None);
        let [h1, h2, h3] = [0, 1, 2].map(|t| output.clone().narrow(1, t, 1));
        let [h1, h2, h3] = [h1, h2, h3].map(values);
        assert!(h1.iter().any(|h1| h1.abs() > 1e-2), "{estimator:?}: {h1:?}");
        for ((h1, h2), h3) in h1.iter().zip(h2).zip(h3) {
            let (first, second) = (h2 - h1, h3 - h1);
            assert!(first * h1 >= -1e-9 && first.abs() <= h1.abs() + 1e-6);
            let (a, b) = (first * h2, second * h1);
            assert!((a - b).abs() < 1e-5, "{estimator:?}: {a} and {b}");
        }
    }
}

#[test]
fn a_draw_of_the_layer_is_the_network_of_the_draw() {
    let device = Device::flex();
    let layer = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, true)
        .with_num_layers(2)
        .with_bidirectional(true)
        .init(&device);
    let x = input(true, &device);
    let (drawn, _) = layer.with_draw(6, 3, |layer| layer.forward(x.clone(), None));
    let (network, _) = layer.sample_network(6, 3).forward(x, None);
    assert_eq!(values(drawn), values(network));
}

#[test]
fn each_weight_pays_its_kl_once_and_there_are_no_others() {
    let device = Device::flex();
    let std: f64 = 0.1;
    let per_weight = -std.ln() + std * std / 2.0 - 0.5;
    let check = |name: &str, kl: Tensor<1>, weights: usize, expected: usize| {
        assert_eq!(weights, expected, "{name}");
        let kl = values(kl)[0];
        let want = per_weight * expected as f64;
        assert!((kl - want).abs() < 1e-4 * want, "{name}: {kl} for {want}");
    };
    let zeros = Initializer::Zeros;
    for [bias, input_forget, peephole, bidirectional, stacked] in switches() {
        let layer = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, bias)
            .with_input_forget(input_forget)
            .with_peephole(peephole)
            .with_bidirectional(bidirectional)
            .with_num_layers(1 + usize::from(stacked))
            .with_initializer(zeros.clone())
            .with_posterior(PosteriorConfig::normal(std))
            .init(&device);
        let (gates, directions) = (
            4 - usize::from(input_forget),
            1 + usize::from(bidirectional),
        );
        let cell = |d_input: usize| {
            let gate = (d_input + D_HIDDEN + 2 * usize::from(bias)) * D_HIDDEN;
            gates * gate + usize::from(peephole) * (gates - 1) * D_HIDDEN
        };
        let second = usize::from(stacked) * cell(D_HIDDEN * directions);
        let expected = directions * (cell(D_INPUT) + second);
        let before = layer.kl_cost();
        // Running the layer changes nothing.
        layer.forward(input(true, &device), None);
        assert_eq!(values(before), values(layer.kl_cost()));
        check(
            "lstm",
            layer.kl_cost(),
            layer.num_bayesian_weights(),
            expected,
        );
    }
    for [bias, reset_after] in switches() {
        let layer = BayesianGruConfig::new(D_INPUT, D_HIDDEN, bias)
            .with_reset_after(reset_after)
            .with_initializer(zeros.clone())
            .with_posterior(PosteriorConfig::normal(std))
            .init(&device);
        let expected = 3 * (D_INPUT + D_HIDDEN + 2 * usize::from(bias)) * D_HIDDEN;
        check(
            "gru",
            layer.kl_cost(),
            layer.num_bayesian_weights(),
            expected,
        );
    }
}

#[test]
fn flipout_has_the_moments_of_the_posterior_and_rows_of_its_own() {
    // With identities for activations and no cell state, h' = o·i·g, three independent normals of mean zero and
    // variance v = σ² (|x|² + |h|² + 2): input, hidden state and both biases take part. So Var h' = v³. The units are
    // independent.
    let device = Device::flex();
    let (std, units) = (0.4, 10);
    let layer = BayesianLstmConfig::new(2, units, true)
        .with_gate_activation(ActivationConfig::Identity)
        .with_cell_activation(ActivationConfig::Identity)
        .with_hidden_activation(ActivationConfig::Identity)
        .with_initializer(Initializer::Zeros)
        .with_posterior(PosteriorConfig::normal(std))
        .with_estimator(Estimator::Flipout)
        .init(&device);
    let x = Tensor::<3>::from_floats([[[1.0, -0.5]], [[1.0, -0.5]]], &device);
    let hidden = Tensor::<3>::full([1, 2, units], 0.5, &device);
    let state = LstmState::new(hidden.zeros_like(), hidden);
    let variance = (std * std * (1.25 + 0.25 * units as f64 + 2.0)).powi(3);
    let [first, second] = [0, 1].map(|row| {
        let draws = (0..600).flat_map(|index| {
            let _draw = layer.draw(17, index);
            let (output, _) = layer.forward(x.clone(), Some(state.clone()));
            values(output.narrow(0, row, 1))
        });
        draws.collect::<Vec<f64>>()
    });
    let check = |name: &str, samples: Vec<f64>, expected: f64| {
        let n = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let spread = samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let k = (mean - expected) / (spread / n).sqrt();
        assert!(
            k.abs() < 4.5,
            "{name}: {mean} for {expected}, {k:.1} standard errors off"
        );
    };
    for row in [&first, &second] {
        check("mean", row.clone(), 0.0);
        check("variance", row.iter().map(|h| h * h).collect(), variance);
    }
    // Rows with the same input are uncorrelated.
    let products = first.iter().zip(&second).map(|(a, b)| a * b);
    check("covariance", products.collect(), 0.0);
}

#[test]
fn a_row_of_flipout_keeps_its_weights_whatever_rows_come_with_it() {
    let device = Device::flex();
    let layer = BayesianGruConfig::new(D_INPUT, D_HIDDEN, true)
        .with_reset_after(false)
        .with_posterior(PosteriorConfig::normal(0.5))
        .with_estimator(Estimator::Flipout)
        .init(&device);
    let x = input(true, &device);
    let _draw = layer.draw(2, 0);
    let (both, _) = layer.forward(x.clone(), None);
    let (first, _) = layer.forward(x.narrow(0, 0, 1), None);
    assert_close(first, both.narrow(0, 0, 1), "first row");
    // The rows differ, with the same input.
    let same = Tensor::<3>::ones([2, 1, D_INPUT], &device);
    let (output, _) = layer.forward(same, None);
    assert_ne!(
        values(output.clone().narrow(0, 0, 1)),
        values(output.narrow(0, 1, 1))
    );
}

/// Counts the parameters, and those with a gradient that is not zero.
struct Reached<'a> {
    grads: &'a Gradients,
    params: usize,
    reached: usize,
}

impl ModuleVisitor for Reached<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.params += 1;
        if let Some(gradient) = param.base().grad(self.grads) {
            let gradient = values(gradient);
            assert!(gradient.iter().all(|g| g.is_finite()));
            self.reached += usize::from(gradient.iter().any(|g| *g != 0.0));
        }
    }
}

fn assert_all_reached<M: Module>(module: &M, loss: Tensor<3>, params: usize) {
    let grads = loss.square().sum().backward();
    let mut reached = Reached {
        grads: &grads,
        params: 0,
        reached: 0,
    };
    module.visit(&mut reached);
    assert_eq!((reached.params, reached.reached), (params, params));
}

#[test]
fn the_gradient_reaches_every_mean_and_deviation() {
    let device = Device::flex().autodiff();
    for estimator in ESTIMATORS {
        let layer = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, true)
            .with_peephole(true)
            .with_num_layers(2)
            .with_bidirectional(true)
            .with_estimator(estimator)
            .init(&device);
        let (output, _) = layer.forward(input(true, &device), None);
        assert_all_reached(&layer, output, 4 * 2 * (4 * 4 + 3));
        for reset_after in [true, false] {
            let layer = BayesianGruConfig::new(D_INPUT, D_HIDDEN, true)
                .with_reset_after(reset_after)
                .with_estimator(estimator)
                .init(&device);
            let (output, _) = layer.forward(input(true, &device), None);
            assert_all_reached(&layer, output, 2 * 3 * 4);
        }
    }
}

#[test]
fn the_gradient_equals_burns_gates_one_by_one() {
    // The gates' weights are concatenated and the steps cut in halves; the means' gradients must not notice.
    let device = Device::flex().autodiff();
    let plain = LstmConfig::new(D_INPUT, D_HIDDEN, true).init(&device);
    let layer = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, true)
        .init(&device)
        .load_record(plain.clone().into_record().allow_partial(true));
    let x = input(true, &device);
    let grads = plain.forward(x.clone(), None).0.square().sum().backward();
    let bayes_grads = {
        let _mean = Draw::mean();
        layer.forward(x, None).0.square().sum().backward()
    };
    let cell = &layer.layers[0].forward;
    for (ours, burns) in [
        (&cell.input_gate, &plain.input_gate),
        (
            cell.forget_gate.as_ref().unwrap(),
            plain.forget_gate.as_ref().unwrap(),
        ),
        (&cell.output_gate, &plain.output_gate),
        (&cell.cell_gate, &plain.cell_gate),
    ] {
        for (ours, burns) in [
            (&ours.input_transform, &burns.input_transform),
            (&ours.hidden_transform, &burns.hidden_transform),
        ] {
            let gradient = ours.weight.base().grad(&bayes_grads).unwrap();
            assert_close(gradient, burns.weight.val().grad(&grads).unwrap(), "weight");
            let (ours, burns) = (ours.bias.as_ref().unwrap(), burns.bias.as_ref().unwrap());
            let gradient = ours.base().grad(&bayes_grads).unwrap();
            assert_close(gradient, burns.val().grad(&grads).unwrap(), "bias");
        }
    }
}

#[test]
fn a_saved_and_loaded_layer_gives_the_same_draw() {
    let device = Device::flex();
    let config = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, true)
        .with_peephole(true)
        .with_num_layers(2)
        .with_bidirectional(true);
    let layer = config.init(&device);
    let bytes = layer.clone().into_record().into_bytes().unwrap();
    let record = burn::store::ModuleRecord::from_bytes(bytes).unwrap();
    let loaded = config.init(&device).load_record(record);
    let x = input(true, &device);
    let of = |layer: &BayesianLstm| {
        layer.with_draw(8, 1, |layer| values(layer.forward(x.clone(), None).0))
    };
    assert_eq!(of(&layer), of(&loaded));
    // And after the detour that validation takes.
    let layer = config.init(&Device::flex().autodiff());
    let layer = layer.valid().train().fork(&device);
    assert_eq!(layer.num_params(), loaded.num_params());
}

#[test]
fn the_paths_of_the_first_layer_are_burns() {
    struct Paths(Vec<String>, Vec<String>);
    impl ModuleVisitor for Paths {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.0.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            self.1.push(self.0.join("."));
        }
    }
    let paths = |layer: &BayesianLstm| {
        let mut paths = Paths(Vec::new(), Vec::new());
        layer.visit(&mut paths);
        paths.1
    };
    let device = Device::flex();
    let config = BayesianLstmConfig::new(2, 2, false).with_num_layers(2);
    let single = paths(&config.init(&device));
    assert_eq!(single[0], "input_gate.input_transform.weight");
    assert!(single[1].starts_with("input_gate.input_transform.weight.bayes."));
    assert!(single.contains(&"layers.1.cell_gate.hidden_transform.weight".to_string()));
    let double = paths(&config.with_bidirectional(true).init(&device));
    assert_eq!(double[0], "forward.input_gate.input_transform.weight");
    assert!(double.contains(&"layers.1.reverse.cell_gate.hidden_transform.weight".to_string()));
}

#[test]
fn the_configuration_survives_json() {
    let config = BayesianLstmConfig::new(2, 3, true)
        .with_num_layers(2)
        .with_peephole(true)
        .with_clip(Some(3.0))
        .with_estimator(Estimator::Flipout);
    let json = serde_json::to_string(&config).unwrap();
    let back = BayesianLstmConfig::load_binary(json.as_bytes()).unwrap();
    assert_eq!(format!("{config:?}"), format!("{back:?}"));
    let config = BayesianGruConfig::new(2, 3, true).with_bidirectional(true);
    let json = serde_json::to_string(&config).unwrap();
    let back = BayesianGruConfig::load_binary(json.as_bytes()).unwrap();
    assert_eq!(format!("{config:?}"), format!("{back:?}"));
}

#[test]
fn display() {
    let device = Device::flex();
    let lstm = BayesianLstmConfig::new(2, 3, true).init(&device);
    assert_eq!(
        lstm.to_string(),
        "BayesianLstm {d_input: 2, d_hidden: 3, bias: true, num_layers: 1, bidirectional: false, posterior: Normal, \
         prior: Normal, estimator: SharedWeights, params: 168}"
    );
    let gru = BayesianGruConfig::new(2, 3, false)
        .with_num_layers(2)
        .with_estimator(Estimator::Flipout)
        .init(&device);
    assert_eq!(
        gru.to_string(),
        "BayesianGru {d_input: 2, d_hidden: 3, bias: false, num_layers: 2, bidirectional: false, posterior: Normal, \
         prior: Normal, estimator: Flipout, params: 198}"
    );
}

fn lstm() -> BayesianLstmConfig {
    BayesianLstmConfig::new(D_INPUT, D_HIDDEN, true)
}

#[test]
#[should_panic(expected = "use Estimator::Flipout")]
fn local_reparameterization_is_refused_with_the_alternative() {
    lstm()
        .with_estimator(Estimator::LocalReparameterization)
        .init(&Device::flex());
}

#[test]
#[should_panic(expected = "at least one step, got an input of shape [2, 0, 3]")]
fn a_sequence_without_steps_is_refused() {
    let device = Device::flex();
    lstm()
        .init(&device)
        .forward(Tensor::zeros([2, 0, 3], &device), None);
}

#[test]
#[should_panic(
    expected = "takes 3 input features on the last axis, got an input of shape [2, 5, 4]"
)]
fn an_input_of_the_wrong_width_is_refused() {
    let device = Device::flex();
    lstm()
        .init(&device)
        .forward(Tensor::zeros([2, 5, 4], &device), None);
}

#[test]
#[should_panic(
    expected = "[num_layers * directions, batch_size, d_hidden] = [2, 2, 4], got [1, 2, 4]"
)]
fn a_state_of_the_wrong_shape_is_refused() {
    let device = Device::flex();
    let state = random_state(1, &device);
    lstm()
        .with_num_layers(2)
        .init(&device)
        .forward(input(true, &device), Some(state));
}

#[test]
#[should_panic(expected = "got 3 and 0")]
fn a_layer_without_hidden_features_is_refused() {
    BayesianGruConfig::new(3, 0, true).init(&Device::flex());
}

#[test]
#[should_panic(expected = "leave out `reverse`")]
fn a_bidirectional_layer_against_time_is_refused() {
    lstm()
        .with_bidirectional(true)
        .with_reverse(true)
        .init(&Device::flex());
}
