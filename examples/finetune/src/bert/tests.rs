//! Embeddings by PyTorch, from `reference.py`.

use blitz_train::save_adapter;
use burn::tensor::Tensor;
use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::args::Cli;
use crate::data::through;
use crate::model::{Classifier, mean};
use crate::text::{self, Reader};

fn reference() -> Value {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

/// The mean of the last layer over the tokens of each text.
fn embeddings(net: &Bert, texts: &[&[u32]], device: &Device) -> Vec<Vec<f64>> {
    let Tokens { states, padding } = net.tokens(texts, device);
    let states = net.encoder.layers.iter().fold(states, |states, layer| {
        layer.forward(states, Some(padding.clone()), None)
    });
    let rows: Tensor<2> = mean(states, padding.bool_not().float());
    let features = rows.dims()[1];
    let values: Vec<f64> = rows.into_data().iter::<f64>().collect();
    values.chunks(features).map(<[f64]>::to_vec).collect()
}

fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-4, "{got} for {expected}");
    }
}

/// The tiny network's tensors in PyTorch's shapes.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![
        ("embeddings.word_embeddings.weight".to_string(), vec![11, 8]),
        ("embeddings.position_embeddings.weight".into(), vec![7, 8]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, 8]),
        ("embeddings.LayerNorm.weight".into(), vec![8]),
        ("embeddings.LayerNorm.bias".into(), vec![8]),
    ];
    for layer in 0..2 {
        for (name, rows, columns) in [
            ("attention.self.query", 8, 8),
            ("attention.self.key", 8, 8),
            ("attention.self.value", 8, 8),
            ("attention.output.dense", 8, 8),
            ("intermediate.dense", 12, 8),
            ("output.dense", 8, 12),
        ] {
            let name = format!("encoder.layer.{layer}.{name}");
            tensors.push((format!("{name}.weight"), vec![rows, columns]));
            tensors.push((format!("{name}.bias"), vec![rows]));
        }
        for name in ["attention.output", "output"] {
            for part in ["weight", "bias"] {
                let name = format!("encoder.layer.{layer}.{name}.LayerNorm.{part}");
                tensors.push((name, vec![8]));
            }
        }
    }
    tensors
}

/// As in `reference.py`.
fn values(name: &str, count: usize) -> Vec<f32> {
    let phase = 0.1 * name.bytes().map(f64::from).sum::<f64>();
    let shift = match name.ends_with("LayerNorm.weight") {
        true => 1.0,
        false => 0.0,
    };
    let value = |i: usize| 0.4 * (0.9 * (i + 1) as f64 + phase).sin() + shift;
    (0..count).map(|i| value(i) as f32).collect()
}

/// A folder with the tiny network, its tensors under `prefix`.
fn folder(tensors: &[(String, Vec<usize>)], prefix: &str) -> TempDir {
    folder_in(tensors, prefix, |_| DType::F32)
}

/// The same with a type for each tensor.
fn folder_in(
    tensors: &[(String, Vec<usize>)],
    prefix: &str,
    dtype: impl Fn(&str) -> DType,
) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut header = serde_json::Map::new();
    let mut bytes = Vec::new();
    for (name, shape) in tensors {
        let start = bytes.len();
        let dtype = dtype(name);
        let data = TensorData::new(values(name, shape.iter().product()), shape.clone());
        bytes.extend(&data.convert_dtype(dtype).bytes()[..]);
        let dtype = format!("{dtype:?}");
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, bytes.len()]});
        header.insert(format!("{prefix}{name}"), entry);
    }
    let header = Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    let file = [&length[..], header.as_bytes(), &bytes].concat();
    std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
    let config = json!({
        "vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12,
        "max_position_embeddings": 7, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
    });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

#[test]
fn a_checkpoint_of_bert_gives_the_embeddings_of_pytorch() {
    let device = Device::flex();
    let expected = reference();
    for prefix in ["", "bert."] {
        let folder = folder(&tensors(), prefix);
        let (_, net) = Bert::load(folder.path(), &device).unwrap();
        let rows = embeddings(&net, &[&[1, 4, 9, 10, 2], &[1, 3, 2]], &device);
        for (row, expected) in rows.iter().zip(expected["tiny"].as_array().unwrap()) {
            assert_close(row, &numbers(expected));
        }
    }
}

#[test]
fn a_checkpoint_of_any_type_of_number_or_of_several_is_read_in_f32() {
    let device = Device::flex();
    let texts: [&[u32]; 2] = [&[1, 4, 9, 10, 2], &[1, 3, 2]];
    let of = |dtype: &dyn Fn(&str) -> DType| {
        let folder = folder_in(&tensors(), "", dtype);
        let (_, net) = Bert::load(folder.path(), &device).unwrap();
        assert_eq!(net.tokens(&texts, &device).states.dtype(), DType::F32);
        embeddings(&net, &texts, &device).concat()
    };
    let expected = of(&|_| DType::F32);
    let mixed = |name: &str| match name.contains("LayerNorm") {
        true => DType::F32,
        false => DType::F16,
    };
    // Of weights with 8, 11 and all of their bits: PyTorch's embeddings of those in bf16 are 2.4e-3 off, in f16 5e-4.
    let assert_near = |dtype: &dyn Fn(&str) -> DType, bound: f64| {
        for (got, expected) in of(dtype).iter().zip(&expected) {
            assert!((got - expected).abs() < bound, "{got} for {expected}");
        }
    };
    assert_near(&|_| DType::BF16, 1e-2);
    assert_near(&|_| DType::F16, 2e-3);
    assert_near(&mixed, 2e-3);
    assert_near(&|_| DType::F64, 1e-6);
}

#[test]
fn the_layers_below_may_run_once_for_all() {
    let device = Device::flex();
    let folder = folder(&tensors(), "");
    let (_, net) = Bert::load(folder.path(), &device).unwrap();
    let texts: [&[u32]; 2] = [&[1, 3, 2], &[1, 4, 9, 10, 2]];
    let batch = (net.tokens(&texts, &device), vec![0, 1]);
    let below = through(&net.encoder.layers[..1], [batch].into_iter());
    let Tokens { states, padding } = below.batch(&[0, 1], &device).inputs;
    let states = net.encoder.layers[1].forward(states, Some(padding.clone()), None);
    let rows: Vec<f64> = mean(states, padding.bool_not().float())
        .into_data()
        .iter::<f64>()
        .collect();
    assert_close(&rows, &embeddings(&net, &texts, &device).concat());
}

#[test]
fn a_checkpoint_that_lacks_a_tensor_or_has_another_shape_is_refused_by_its_name() {
    let device = Device::flex();
    let refusal = |folder: &TempDir| {
        let error = Bert::load(folder.path(), &device).unwrap_err().to_string();
        assert!(
            error.contains("model.safetensors") && !error.contains('\n'),
            "{error}"
        );
        error
    };
    let mut short = tensors();
    short.retain(|(name, _)| !name.contains("layer.1.attention.self.value"));
    let error = refusal(&folder(&short, ""));
    assert!(
        error.contains("2 of the network's tensors are missing")
            && error.contains("encoder.layers.1.mha.value."),
        "{error}"
    );
    let nan = folder(&tensors(), "");
    let path = nan.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = refusal(&nan);
    assert!(
        error.contains("encoder.layers.1.norm_2.beta has a number that is NaN or infinite"),
        "{error}"
    );
    let mut more = tensors();
    more.extend([
        (
            "encoder.layer.2.attention.self.query.weight".into(),
            vec![8, 8],
        ),
        ("embeddings.task.weight".into(), vec![2, 8]),
        ("embeddings.LayerNorm.scale".into(), vec![8]),
    ]);
    let error = refusal(&folder(&more, "bert."));
    assert!(
        error.contains("no place for 3 of its tensors, the first is embeddings.task.weight"),
        "{error}"
    );
    // What is no part of the layers may be there.
    let mut head = tensors();
    head.extend([
        ("pooler.dense.weight".into(), vec![8, 8]),
        ("embeddings.position_ids".into(), vec![1, 7]),
    ]);
    Bert::load(folder(&head, "").path(), &device).unwrap();
    let mut other = tensors();
    other[0].1 = vec![10, 8];
    let error = refusal(&folder(&other, ""));
    assert!(error.contains("word.weight"), "{error}");
    let empty = folder(&tensors(), "");
    std::fs::write(empty.path().join("model.safetensors"), "nothing").unwrap();
    refusal(&empty);
    std::fs::remove_file(empty.path().join("model.safetensors")).unwrap();
    assert!(refusal(&empty).ends_with("there is no such file"));
}

#[test]
fn a_configuration_of_another_network_is_refused() {
    let folder = folder(&tensors(), "");
    let path = folder.path().join("config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    for (from, to, reason) in [
        ("\"gelu\"", "\"relu\"", "the activation is relu, not gelu"),
        (
            "\"num_attention_heads\":2",
            "\"num_attention_heads\":3",
            "not divided by 3 heads",
        ),
        ("vocab_size\":11", "words\":11", "vocab_size"),
        (
            "\"layer_norm_eps\":1e-12",
            "\"layer_norm_eps\":-1.0",
            "layer_norm_eps is -1, below 0",
        ),
        (
            "\"hidden_act\"",
            "\"position_embedding_type\":\"relative_key\",\"hidden_act\"",
            "the position embeddings are relative_key, not absolute",
        ),
        (
            "\"hidden_act\"",
            "\"model_type\":\"roberta\",\"hidden_act\"",
            "the network is a roberta, not a bert",
        ),
        (
            "num_hidden_layers\":2",
            "num_hidden_layers\":1",
            "no place for 16 of its tensors, the first is encoder.layers.1.",
        ),
        (
            "num_hidden_layers\":2",
            "num_hidden_layers\":4000000000",
            "bytes can't hold the 1.",
        ),
    ] {
        std::fs::write(&path, config.replace(from, to)).unwrap();
        let error = Bert::load(folder.path(), &Device::flex()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    let bert = config.replace("\"hidden_act\"", "\"model_type\":\"bert\",\"hidden_act\"");
    std::fs::write(&path, bert).unwrap();
    Bert::load(folder.path(), &Device::flex()).unwrap();
}

/// A tokenizer for it, of ten letters.
fn write_tokenizer(folder: &TempDir, unknown: &str) {
    let mut words: serde_json::Map<String, Value> = ('a'..='j')
        .zip(1..)
        .map(|(letter, id)| (letter.to_string(), json!(id)))
        .collect();
    words.insert(unknown.into(), json!(0));
    let file = json!({
        "version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": words, "unk_token": unknown},
    });
    std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
}

/// Texts of two classes.
fn write_texts(path: &Path, classes: [&str; 2]) {
    let mut lines = vec!["split\tsection\ttext".to_string()];
    for (split, count) in [("train", 4), ("test", 2)] {
        for (class, letter) in classes.iter().zip(["a", "b"]) {
            lines.extend((0..count).map(|_| format!("{split}\t{class}\t{letter} c")));
        }
    }
    lines.extend(["near\tother\td".into(), "far\tfar away\te".into()]);
    std::fs::write(path, lines.join("\n")).unwrap();
}

#[test]
fn an_adapter_is_refused_beside_other_layers_below_heads_words_or_classes() {
    let device = Device::flex();
    let out = tempfile::tempdir().unwrap();
    let [data, adapter] = ["texts.tsv", "adapter.bpk"].map(|name| out.path().join(name));
    write_texts(&data, ["maths", "mail"]);
    let folder = folder(&tensors(), "");
    write_tokenizer(&folder, "[UNK]");
    let cli = |more: &[&str]| {
        let adapters = ["finetune", "--layers", "1", "--rank", "1", "--tokens", "4"];
        let labels = [
            "--labels-per-class",
            "4",
            "--model",
            "model",
            "--data",
            "data",
        ];
        Cli::parse_from(adapters.iter().chain(&labels).chain(more))
    };
    let task = text::task(&cli(&[]), folder.path(), &data, &device).unwrap();
    let net = Classifier::new(&task.upper, 2, 0.0, &device.clone().autodiff());
    let net = net.of(&task.files_and_classes).adapted(1).unwrap();
    save_adapter(&net, &adapter).unwrap();

    let scored = cli(&["--adapter", adapter.to_str().unwrap()]);
    let task = || text::task(&scored, folder.path(), &data, &device);
    assert!(task().unwrap().saved.is_some());
    let refused = || {
        let error = task().unwrap_err().to_string();
        let reason = "adapter.bpk is an adapter for another base: files_and_classes differs";
        assert!(error.contains(reason), "{error}");
    };

    write_texts(&data, ["maths", "post"]);
    refused();
    write_texts(&data, ["maths", "mail"]);

    write_tokenizer(&folder, "[OTHER]");
    refused();
    write_tokenizer(&folder, "[UNK]");

    let config = folder.path().join("config.json");
    let two_heads = std::fs::read_to_string(&config).unwrap();
    let heads = "\"num_attention_heads\":2";
    assert!(two_heads.contains(heads));
    let four_heads = two_heads.replace(heads, "\"num_attention_heads\":4");
    std::fs::write(&config, four_heads).unwrap();
    refused();
    std::fs::write(&config, two_heads).unwrap();

    // The first number of the words.
    let weights = folder.path().join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    bytes[8 + header] ^= 1;
    std::fs::write(&weights, &bytes).unwrap();
    refused();
    bytes[8 + header] ^= 1;
    std::fs::write(&weights, &bytes).unwrap();
    assert!(task().unwrap().saved.is_some());
}

/// The folder of `get_model.sh`.
fn minilm() -> Option<PathBuf> {
    let folder = std::env::var_os("BLITZ_MINILM").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: BLITZ_MINILM names no folder of get_model.sh");
    }
    folder
}

#[test]
fn minilm_reads_texts_and_embeds_them_as_pytorch_does() {
    let Some(folder) = minilm() else { return };
    let device = Device::flex();
    let (shape, net) = Bert::load(&folder, &device).unwrap();
    let reader = Reader::open(&folder, &shape, 128).unwrap();
    let reference = reference();
    let texts = reference["minilm"].as_array().unwrap();
    let ids: Vec<Vec<u32>> = texts
        .iter()
        .map(|text| reader.ids(text["text"].as_str().unwrap()).unwrap())
        .collect();
    for (ids, text) in ids.iter().zip(texts) {
        assert_eq!(json!(ids), text["ids"]);
    }
    let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
    for (row, text) in embeddings(&net, &ids, &device).iter().zip(texts) {
        assert_close(row, &numbers(&text["embedding"]));
    }
}
