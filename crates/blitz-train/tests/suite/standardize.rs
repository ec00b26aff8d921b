//! Standardized tensors.

use blitz_train::prelude::*;
use burn::config::Config;
use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::values;

#[derive(Config, Debug, PartialEq)]
struct Settings {
    inputs: Standardizer,
}

#[test]
fn tensors_are_scaled_as_slices_are_and_come_back() {
    let device = Device::flex();
    let rows = [1.0, 10.0, 3.0, 30.0, 4.0, 25.0];
    let x = Tensor::<2>::from_floats([[1.0, 10.0], [3.0, 30.0], [4.0, 25.0]], &device);
    let scale = Standardizer::fit_tensor(&x);
    assert_eq!(scale, Standardizer::fit(&rows, 2));
    let z = scale.transform_tensor(x.clone());
    for (z, expected) in values(z.clone()).iter().zip(scale.transform(&rows)) {
        assert!((z - expected).abs() < 1e-6, "{z} for {expected}");
    }
    for (back, x) in values(scale.inverse_tensor(z)).iter().zip(rows) {
        assert!((back - x).abs() < 1e-5, "{back} for {x}");
    }
}

#[test]
fn the_last_dimension_is_that_of_the_columns_at_every_rank() {
    let x = Tensor::<1>::from_floats(
        [1.0, 10.0, 3.0, 30.0, 1.0, 10.0, 3.0, 30.0],
        &Device::flex(),
    );
    let x = x.reshape([2, 2, 2]);
    let scale = Standardizer::fit_tensor(&x);
    assert_eq!(scale, Standardizer::new(vec![2.0, 20.0], vec![1.0, 10.0]));
    let z = scale.transform_tensor(x);
    assert_eq!(z.dims(), [2, 2, 2]);
    assert_eq!(values(z), [-1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0]);
}

#[test]
fn a_tensor_of_one_dimension_is_one_column() {
    let y = Tensor::<1>::from_floats([20.0, 30.0, 25.0, 45.0], &Device::flex());
    let scale = Standardizer::fit_tensor(&y);
    let column: Vec<f64> = values(y.clone());
    assert_eq!(scale, Standardizer::fit(&column, 1));
    let z = scale.transform_tensor(y.clone());
    for (z, expected) in values(z.clone()).iter().zip(scale.transform(&column)) {
        assert!((z - expected).abs() < 1e-6, "{z} for {expected}");
    }
    for (back, y) in values(scale.inverse_tensor(z)).iter().zip(column) {
        assert!((back - y).abs() < 1e-5, "{back} for {y}");
    }
    // As the column of a table is.
    let table = y.clone().unsqueeze_dim::<2>(1);
    assert_eq!(Standardizer::fit_tensor(&table), scale);

    // Where there are several columns it is a row.
    let two = Standardizer::new(vec![2.0, 20.0], vec![1.0, 10.0]);
    let row = Tensor::<1>::from_floats([3.0, 10.0], &Device::flex());
    assert_eq!(values(two.transform_tensor(row)), [1.0, -1.0]);
}

#[test]
#[should_panic(expected = "a standardizer of 2 columns needs them as the last dimension")]
fn a_column_is_no_row_of_two() {
    let two = Standardizer::new(vec![2.0, 20.0], vec![1.0, 10.0]);
    let column = Tensor::<1>::from_floats([3.0, 10.0, 1.0], &Device::flex());
    let _ = two.transform_tensor(column);
}

#[test]
fn a_mean_that_is_no_f32_costs_no_digits() {
    // 16777216.5 is not among the numbers of f32, which all of the values are.
    let x = Tensor::<2>::from_floats(
        [[16777214.0], [16777215.0], [16777220.0], [16777217.0]],
        &Device::flex(),
    );
    let data: Vec<f64> = values(x.clone());
    let scale = Standardizer::fit(&data, 1);
    let z = values(scale.transform_tensor(x));
    for (z, expected) in z.iter().zip(scale.transform(&data)) {
        assert!((z - expected).abs() < 1e-6, "{z} for {expected}");
    }
}

#[test]
fn tensors_keep_their_type_and_are_computed_in_f32_at_least() {
    let device = Device::flex();
    let scale = Standardizer::new(vec![1000.0], vec![0.5]);
    for dtype in [
        FloatDType::F16,
        FloatDType::BF16,
        FloatDType::F32,
        FloatDType::F64,
    ] {
        let x = Tensor::<2>::from_floats([[1000.0], [1008.0]], &device).cast(dtype);
        let z = scale.transform_tensor(x.clone());
        assert_eq!(z.dtype(), DType::from(dtype));
        assert_eq!(values(z.clone()), [0.0, 16.0], "{dtype:?}");
        assert_eq!(
            values(scale.inverse_tensor(z)),
            [1000.0, 1008.0],
            "{dtype:?}"
        );
    }
}

#[test]
fn gradients_pass_through() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_floats([[1.0], [2.0]], &device).require_grad();
    let scale = Standardizer::new(vec![5.0], vec![4.0]);
    let gradients = scale.transform_tensor(x.clone()).sum().backward();
    assert_eq!(values(x.grad(&gradients).unwrap()), [0.25, 0.25]);
}

#[test]
fn a_nan_is_named_and_other_columns_are_refused() {
    let x = Tensor::<2>::from_floats([[1.0, 2.0], [f32::NAN, 3.0]], &Device::flex());
    let error = Standardizer::try_fit_tensor(&x).unwrap_err().to_string();
    assert!(error.starts_with("row 1, column 0: NaN"), "{error}");
}

#[test]
#[should_panic(
    expected = "a standardizer of 1 columns needs them as the last dimension, got [1, 2]"
)]
fn tensors_of_other_columns_are_refused() {
    let x = Tensor::<2>::from_floats([[1.0, 2.0]], &Device::flex());
    let _ = Standardizer::new(vec![0.0], vec![1.0]).transform_tensor(x);
}

#[test]
fn a_configuration_of_burns_saves_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    let settings = Settings::new(Standardizer::fit(&[1.0, 2.0, 4.0], 1));
    settings.save(&path).unwrap();
    assert_eq!(Settings::load(&path).unwrap(), settings);
}
