//! The native program. `run.sh` compares it with the WebAssembly module.

use std::process::Command;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};

#[test]
fn the_saved_model_fits_and_doubts_outside_the_data() {
    let folder = tempfile::tempdir().unwrap();
    // The second time over its own files.
    for _ in 0..2 {
        let program = Command::new(env!("CARGO_BIN_EXE_wasm-predict"))
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(program.status.success(), "{program:?}");
    }
    assert!(folder.path().join("native.json").exists());
    assert!(folder.path().join("model.bpk.sha256").exists());

    let record = std::fs::read(folder.path().join("model.bpk")).unwrap();
    let predictions = wasm_predict::predict(record).unwrap();
    let width = |x: f32| {
        let at = wasm_predict::inputs()
            .iter()
            .position(|&input| input == x)
            .unwrap();
        let prediction = predictions[at];
        let [mean, lower, upper] = prediction.in_one_pass;
        // One hidden layer: mean and variance are exact but for the quadrature of tanh, and 100 draws are what is
        // noisy.
        let std = (prediction.upper - prediction.lower) / 3.92;
        assert!(
            (mean - prediction.mean).abs() < 0.3 * std,
            "{prediction:?} at {x}"
        );
        assert!(
            ((upper - lower) / (3.92 * std) - 1.0).abs() < 0.2,
            "{prediction:?} at {x}"
        );
        if x.abs() <= 1.0 {
            let error = (prediction.mean - f64::from(3.0 * x).sin()).abs();
            assert!(error < 0.3, "{prediction:?} at {x}");
        }
        prediction.upper - prediction.lower
    };
    let inside = width(-0.5).max(width(0.0)).max(width(0.5));
    assert!(
        width(-2.0) > inside && width(2.0) > inside,
        "{predictions:?}"
    );
}

#[test]
fn options_are_no_folders() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_wasm-predict"));
        let program = program.args(arguments).current_dir(folder.path());
        program.output().unwrap()
    };
    for help in ["--help", "-h"] {
        let output = run(&[help]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Usage: wasm-predict [FOLDER]"), "{text}");
    }
    for (arguments, reason) in [
        (&["--out"][..], "unexpected argument '--out'"),
        (&["-x"], "unexpected argument '-x'"),
        (&["folder", "--help"], "unexpected argument '--help'"),
        (&["folder", "other"], "unexpected argument 'other'"),
        (&[""], "the folder has no name"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(reason), "{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_model_of_another_program_stays() {
    let folder = tempfile::tempdir().unwrap();
    let run = |folder: &std::path::Path| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_wasm-predict"));
        program.arg(folder).output().unwrap()
    };
    for name in ["model.bpk", "native.json"] {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(name), "{}").unwrap();
        let output = run(&folder);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        let reason = format!("has a {name} that is not of this program");
        assert!(text.contains(&reason), "{text}");
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), b"{}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }
}

#[test]
fn a_record_of_nothing_is_an_error() {
    assert!(wasm_predict::predict(vec![0; 64]).is_err());
}

#[test]
fn a_model_that_computes_no_number_is_an_error() {
    struct NotANumber;

    impl ModuleMapper for NotANumber {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match D {
                // The means of the weights; deviations are in rows.
                2 => param.map(|weight| weight * f32::NAN),
                _ => param,
            }
        }
    }

    let model = wasm_predict::model(&Device::flex()).map(&mut NotANumber);
    let record = model.into_record().into_bytes().unwrap();
    let error = wasm_predict::predict(record.to_vec()).unwrap_err();
    assert!(matches!(error, wasm_predict::Error::Predict(_)), "{error}");
}

#[test]
fn a_model_that_was_saved_before_records_had_constants_predicts_as_it_did() {
    // Made by this program when a record had the tensors alone.
    let record = include_bytes!("data/before_constants.bpk");
    let first = wasm_predict::predict(record.to_vec()).unwrap()[0];
    // What it printed then for the first input, −2.
    let then = [0.690_451_68, 0.625_822_54, 0.372_925_88, 0.879_614_53];
    let now = [first.first_draw, first.mean, first.lower, first.upper];
    for (now, then) in now.into_iter().zip(then) {
        assert!((now - then).abs() < 1e-5, "{now} for {then}");
    }
}
