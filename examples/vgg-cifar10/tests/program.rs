//! The program from outside, on a small file of CIFAR-10's format and on its own patterns.

use example_support::program::{Program, assert_png};

const PROGRAM: Program = Program {
    path: env!("CARGO_BIN_EXE_vgg-cifar10"),
    settings: &[
        "--epochs",
        "1",
        "--width",
        "2",
        "--hidden",
        "8",
        "--predict-samples",
        "2",
        "--batch-size",
        "8",
    ],
};

/// Records of CIFAR-10's binary version: a label, then 3×32×32 bytes.
fn records(count: u8) -> Vec<u8> {
    let record = |i: u8| std::iter::once(i % 10).chain((0..3072).map(move |p| (p % 251) as u8 ^ i));
    (0..count).flat_map(record).collect()
}

#[test]
fn a_folder_of_cifar_files_is_learned() {
    let out = tempfile::tempdir().unwrap();
    let data = out.path().join("cifar");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("data_batch_1.bin"), records(16)).unwrap();
    std::fs::write(data.join("test_batch.bin"), records(4)).unwrap();
    let report = PROGRAM.report(out.path(), &["--data", data.to_str().unwrap()]);
    assert_eq!(
        (&report["train_images"], &report["test_images"]),
        (&16.into(), &4.into())
    );
    assert_eq!(report["rows"].as_array().unwrap().len(), 3);
    assert_png(&report["plot"]);
}

#[test]
fn every_network_of_the_family_trains_on_the_stand_in() {
    let out = tempfile::tempdir().unwrap();
    for (net, norm) in [
        ("vgg13", None),
        ("vgg16", Some("--no-batch-norm")),
        ("vgg19", None),
    ] {
        let settings = ["--net", net, "--limit", "8"];
        let settings: Vec<&str> = settings.into_iter().chain(norm).collect();
        let report = PROGRAM.report(out.path(), &settings);
        assert!(report["rows"][0]["nll"].as_f64().unwrap().is_finite());
    }
}

#[test]
fn a_folder_without_cifar_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let stderr = PROGRAM.refusal(out.path(), &["--data", out.path().to_str().unwrap()]);
    assert!(stderr.contains("no data_batch_1.bin"), "{stderr}");
}

#[test]
fn a_network_or_a_prediction_without_measure_is_refused_before_anything_is_made() {
    let out = tempfile::tempdir().unwrap();
    for [option, value] in [["--width", "100000"], ["--hidden", "10000000"]] {
        let stderr = PROGRAM.refusal(out.path(), &[option, value]);
        assert!(
            stderr.contains("weights, and at most 100000000"),
            "{stderr}"
        );
    }
    let stderr = PROGRAM.refusal(out.path(), &["--predict-samples", "1000000"]);
    assert!(
        stderr.contains("a prediction from 1000000 draws"),
        "{stderr}"
    );
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}
