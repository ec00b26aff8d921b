//! Antithetic pairs of draws through layers and their estimators.

use blitz_layers::prelude::*;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::seeded::{normals, seeded_throughout};
use crate::statistics::{ESTIMATORS, values};

/// What `forward` returns in the mean mode, in a draw and in its antithetic one.
fn pair<M: Module, const D: usize>(model: &M, forward: impl Fn(&M) -> Tensor<D>) -> [Vec<f64>; 3] {
    let mean = model.with_mean(|model| values(forward(model)));
    let alone = model.with_draw(3, 8, |model| values(forward(model)));
    let draw = model.draw(3, 8);
    let first = values(forward(model));
    assert_eq!(first, alone);
    let _second = draw.antithetic(model, 9).unwrap();
    [mean, first, values(forward(model))]
}

fn assert_reflected([mean, first, second]: [Vec<f64>; 3], what: &str) {
    let mut moved = 0.0f64;
    for ((mean, first), second) in mean.iter().zip(&first).zip(&second) {
        let off = first + second - 2.0 * mean;
        assert!(off.abs() < 1e-5 * first.abs().max(1.0), "{what}: {off}");
        moved = moved.max((first - mean).abs());
    }
    assert!(moved > 0.01, "{what} is not random");
}

#[test]
fn outputs_of_linear_layers_and_convolutions_are_reflected_by_every_estimator() {
    #[allow(deprecated)] // ndarray stays supported here.
    let devices = [Device::flex(), Device::ndarray()];
    for device in devices {
        let (rows, images) = (
            normals(1, [4, 6], &device),
            normals(2, [3, 2, 5, 5], &device),
        );
        for estimator in ESTIMATORS {
            let linear = BayesianLinearConfig::new(6, 3)
                .with_posterior(PosteriorConfig::normal(0.2))
                .with_estimator(estimator)
                .init(&device);
            let linear = seeded_throughout(linear, 21);
            let of = pair(&linear, |layer| layer.forward::<2>(rows.clone()));
            assert_reflected(of, &format!("linear, {estimator:?}"));
            let convolution = BayesianConv2dConfig::new([2, 4], [3, 3])
                .with_posterior(PosteriorConfig::normal(0.2))
                .with_estimator(estimator)
                .init(&device);
            let convolution = seeded_throughout(convolution, 22);
            let of = pair(&convolution, |layer| layer.forward(images.clone()));
            assert_reflected(of, &format!("convolution, {estimator:?}"));
        }
    }
}

#[test]
fn the_rows_of_an_embedding_are_reflected_whether_or_not_the_table_was_made() {
    let device = Device::flex();
    let table = BayesianEmbeddingConfig::new(10, 5)
        .with_posterior(PosteriorConfig::normal(0.3))
        .init(&device);
    let words = Tensor::<2, Int>::from_ints([[4, 0, 9], [4, 2, 0]], &device);
    let rows = pair(&table, |table| table.forward(words.clone()));
    assert_reflected(rows.clone(), "rows");
    let whole = pair(&table, |table| {
        table.weight.val();
        table.forward(words.clone())
    });
    assert_eq!(rows, whole);
}

#[test]
fn recurrent_layers_have_the_output_of_the_reflected_weights() {
    let device = Device::flex();
    let series = normals::<3>(3, [2, 4, 3], &device);
    let layer = BayesianLstmConfig::new(3, 5, true)
        .with_posterior(PosteriorConfig::normal(0.2))
        .init(&device);
    let draw = layer.draw(3, 8);
    let _second = draw.antithetic(&layer, 9).unwrap();
    let of = |layer: &BayesianLstm| values(layer.forward(series.clone(), None).0);
    let network = layer.clone().materialize();
    assert_eq!(of(&layer), of(&network));
}

#[test]
fn dropout_in_the_second_draw_is_that_of_its_own_index() {
    let device = Device::flex();
    let dropout = McDropoutConfig::new(0.5).init();
    let x = Tensor::<2>::ones([8, 8], &device);
    let of = |index| dropout.with_draw(3, index, |dropout| values(dropout.forward(x.clone())));
    let [_, first, second] = pair(&dropout, |dropout| dropout.forward(x.clone()));
    assert_eq!((first, second), (of(8), of(9)));
}
