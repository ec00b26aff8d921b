//! Saved Laplace posteriors that were cut or edited are refused by the field that is wrong.

use blitz_train::LabeledBatch;
use blitz_train::laplace::{
    BernoulliLastLayer, ClassCovariance, GaussianLastLayer, SoftmaxLastLayer,
};
use burn::data::dataloader::batcher::Batcher;
use burn::nn::LinearConfig;
use burn::tensor::{Device, Int, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[derive(Clone)]
struct Rows;

fn inputs(items: &[i32], device: &Device) -> Tensor<2> {
    let value = |i: &i32, j: i32| ((7 * i + 3 * j) % 11) as f32 / 4.0 - 1.25;
    let rows: Vec<f32> = items
        .iter()
        .flat_map(|i| [value(i, 0), value(i, 1)])
        .collect();
    Tensor::<1>::from_floats(rows.as_slice(), device).reshape([items.len(), 2])
}

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2>>> for Rows {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
        let inputs = inputs(&items, device);
        LabeledBatch {
            targets: inputs.clone() * 2.0,
            inputs,
        }
    }
}

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2, Int>>> for Rows {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2, Int>> {
        let inputs = inputs(&items, device);
        LabeledBatch {
            targets: inputs.clone().greater_elem(0.0).int(),
            inputs,
        }
    }
}

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<1, Int>>> for Rows {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<1, Int>> {
        let labels: Vec<i32> = items.iter().map(|i| i % 2).collect();
        LabeledBatch {
            targets: Tensor::from_ints(labels.as_slice(), device),
            inputs: inputs(&items, device),
        }
    }
}

/// What a posterior says if one of its fields, given by a pointer into its JSON, has another value.
fn said<P: Serialize + DeserializeOwned>(posterior: &P, field: &str, value: Value) -> String {
    let mut saved = serde_json::to_value(posterior).unwrap();
    *saved.pointer_mut(field).expect(field) = value;
    match serde_json::from_value::<P>(saved) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{field} was taken"),
    }
}

fn assert_refused<P: Serialize + DeserializeOwned>(posterior: &P, cases: &[(&str, Value, &str)]) {
    for (field, value, expected) in cases {
        let said = said(posterior, field, value.clone());
        assert!(said.contains(expected), "{field} = {value}: {said}");
    }
}

#[test]
fn a_saved_regression_layer_that_was_altered_is_refused_by_its_field() {
    let device = Device::flex();
    let data = crate::loader(Rows, 12, 5, &device);
    let layer = LinearConfig::new(2, 2).init(&device);
    let posterior = GaussianLastLayer::fit(data.as_ref(), |x| x, &layer, 0.5, 0.5).unwrap();
    assert_refused(
        &posterior,
        &[
            (
                "/prior_precision",
                json!(-1.0),
                "the prior precision must be positive",
            ),
            (
                "/noise_variances",
                json!([]),
                "`noise_variances` of a saved posterior must have 2",
            ),
            (
                "/noise_variances/1",
                json!(0.0),
                "the noise variance must be positive",
            ),
            (
                "/trained",
                json!([1.0]),
                "`trained` of a saved posterior must have 6 numbers, got 1",
            ),
            ("/pull", json!([1.0]), "`pull`"),
            ("/residuals/0", json!(-1.0), "number 0 of `residuals`"),
            ("/spectrum/values", json!([]), "`spectrum.values`"),
            (
                "/spectrum/values/2",
                json!(-0.5),
                "number 2 of `spectrum.values`",
            ),
            (
                "/spectrum/vectors",
                json!([1.0, 0.0]),
                "`spectrum.vectors` of a saved posterior must have 9",
            ),
            ("/examples", json!(0), "`examples`"),
            ("/shape/outputs", json!(0), "`shape`"),
            ("/shape/d_input", json!(u64::MAX), "`shape`"),
            ("/shape/bias", json!(false), "`trained`"),
        ],
    );
}

#[test]
fn a_saved_layer_of_logits_that_was_altered_is_refused_by_its_field() {
    let device = Device::flex();
    let data = crate::loader(Rows, 12, 5, &device);
    let layer = LinearConfig::new(2, 3).init(&device);
    let softmax =
        |covariance| SoftmaxLastLayer::fit(data.as_ref(), |x| x, &layer, covariance, 0.5).unwrap();
    let any = [
        (
            "/prior_precision",
            json!(0.0),
            "the prior precision must be positive",
        ),
        (
            "/trained",
            json!([]),
            "`trained` of a saved posterior must have 9 numbers, got 0",
        ),
        (
            "/shape/outputs",
            json!(4),
            "`trained` of a saved posterior must have 12",
        ),
    ];
    let joint = softmax(ClassCovariance::Joint);
    assert_refused(&joint, &any);
    assert_refused(
        &joint,
        &[(
            "/curvature/Joint/vectors",
            json!([1.0]),
            "`curvature.vectors` of a saved posterior must have 81",
        )],
    );
    let blocks = softmax(ClassCovariance::PerClass);
    assert_refused(&blocks, &any);
    assert_refused(
        &blocks,
        &[
            (
                "/curvature/PerOutput",
                json!([]),
                "`curvature` of a saved posterior must have 3",
            ),
            (
                "/curvature/PerOutput/1/values/0",
                json!(-1.0),
                "number 0 of `curvature.values`",
            ),
        ],
    );
    let kronecker = softmax(ClassCovariance::Kronecker);
    assert_refused(&kronecker, &any);
    assert_refused(
        &kronecker,
        &[
            (
                "/curvature/Kronecker/bias",
                json!(false),
                "whether there is a bias",
            ),
            (
                "/curvature/Kronecker/inputs/values",
                json!([]),
                "`curvature.inputs.values`",
            ),
            (
                "/curvature/Kronecker/outputs/vectors",
                json!([]),
                "`curvature.outputs.vectors`",
            ),
        ],
    );
    let data = crate::loader(Rows, 12, 5, &device);
    let layer = LinearConfig::new(2, 2).init(&device);
    let binary = BernoulliLastLayer::fit(data.as_ref(), |x| x, &layer, 0.5).unwrap();
    assert_refused(
        &binary,
        &[(
            "/curvature/PerOutput/0/vectors",
            json!([]),
            "`curvature.vectors`",
        )],
    );
}
