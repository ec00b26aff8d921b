//! What the example `finetune` reads: a table of texts, and a checkpoint of BERT with its tokenizer.

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use finetune::bert::Bert;
use finetune::text::{self, Table};
use serde_json::{Map, Value, json};

use super::readers::{Guard, Reader, one, reader, sentence};

/// The longest text, in tokens.
const TOKENS: usize = 7;
const FEATURES: usize = 8;
const UNITS: usize = 12;

pub(super) fn readers() -> Vec<Reader> {
    let rows = ["train", "test", "near", "far"].iter().flat_map(|split| {
        let sections = match *split {
            "near" => ["birds", "fish"],
            "far" => ["stars", "moons"],
            _ => ["mail", "maths"],
        };
        let row = move |i: usize| {
            let section = sections[i % 2];
            format!("{split}\t{section}\ta text on {section}, the {i}th\n")
        };
        (0..6).map(row)
    });
    let table = format!("split\tsection\ttext\n{}", rows.collect::<String>());
    vec![
        reader(
            "a table of texts",
            Guard::None,
            one("texts.tsv", table),
            |folder| {
                let path = folder.join("texts.tsv");
                let table = Table::read(&path).map_err(sentence)?;
                let classes = table.classes(&path).map_err(sentence)?;
                let parts = [&table.train, &table.test, &table.near, &table.far];
                let texts = parts
                    .iter()
                    .flat_map(|part| part.texts.iter().chain(&part.sections));
                let bytes = texts.chain(&classes).flat_map(|text| text.bytes());
                Ok(bytes.map(u64::from).collect())
            },
        ),
        reader(
            "a checkpoint of BERT with its tokenizer",
            Guard::None,
            vec![
                ("config.json".into(), shape().to_string().into_bytes()),
                (
                    "tokenizer.json".into(),
                    tokenizer().to_string().into_bytes(),
                ),
                ("model.safetensors".into(), checkpoint()),
            ],
            embedded,
        ),
    ]
}

/// The weights, the tokens of some texts, and what the network makes of them.
fn embedded(folder: &Path) -> Result<Vec<u64>, String> {
    struct Weights(Vec<u64>);

    impl ModuleVisitor for Weights {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(bits_of(param.val()));
        }
    }

    let device = Device::flex();
    let (shape, net) = Bert::load(folder, &device).map_err(sentence)?;
    let reader = text::Reader::open(folder, &shape, TOKENS).map_err(sentence)?;
    let mut values = Weights(Vec::new());
    net.visit(&mut values);
    let Weights(mut values) = values;
    for text in [
        "The cat, the CATS!",
        "a \u{e9}\u{4e2d} \u{0}",
        "unaffable ".repeat(9).as_str(),
    ] {
        let ids = reader.ids(text).map_err(sentence)?;
        values.extend(ids.iter().map(|id| u64::from(*id)));
        let tokens = net.tokens(&[&ids], &device);
        let layers = net.encoder.layers.iter();
        let states = layers.fold(tokens.states, |states, layer| {
            layer.forward(states, Some(tokens.padding.clone()), None)
        });
        values.extend(bits_of(states));
    }
    Ok(values)
}

fn bits_of<const D: usize>(tensor: Tensor<D>) -> Vec<u64> {
    let data = tensor.into_data();
    data.iter::<f64>().map(f64::to_bits).collect()
}

/// What `config.json` says of a network of one layer.
fn shape() -> Value {
    json!({
        "vocab_size": words().len(), "hidden_size": FEATURES, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": UNITS, "max_position_embeddings": TOKENS, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
        "hidden_act": "gelu", "model_type": "bert", "position_embedding_type": "absolute",
    })
}

fn words() -> Vec<&'static str> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    let words = ["the", "cat", "##s", "a", ",", "un", "##aff", "##able", "e"];
    special.into_iter().chain(words).collect()
}

/// One of the kind that BERT has: normalised, of parts of words, with a token before and one after.
fn tokenizer() -> Value {
    let words = words();
    let vocab = words
        .iter()
        .enumerate()
        .map(|(id, word)| (word.to_string(), json!(id)));
    let vocab: Map<String, Value> = vocab.collect();
    let special = |id: usize| {
        json!({
            "id": id, "content": words[id], "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    let template = |id: usize| json!({"id": words[id], "ids": [id], "tokens": [words[id]]});
    let at = |id: usize| json!({"SpecialToken": {"id": words[id], "type_id": 0}});
    let sequence = |id: &str, of: usize| json!({"Sequence": {"id": id, "type_id": of}});
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 128, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "[PAD]",
        },
        "added_tokens": (0..4).map(special).collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": true,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [at(2), sequence("A", 0), at(3)],
            "pair": [at(2), sequence("A", 0), at(3), sequence("B", 1), at(3)],
            "special_tokens": {"[CLS]": template(2), "[SEP]": template(3)},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab,
        },
    })
}

/// The tensors of the network under PyTorch's names, as safetensors.
fn checkpoint() -> Vec<u8> {
    let vector = vec![FEATURES];
    let mut tensors = vec![
        (
            "embeddings.word_embeddings.weight".to_string(),
            vec![words().len(), FEATURES],
        ),
        (
            "embeddings.position_embeddings.weight".into(),
            vec![TOKENS, FEATURES],
        ),
        (
            "embeddings.token_type_embeddings.weight".into(),
            vec![2, FEATURES],
        ),
        ("embeddings.LayerNorm.weight".into(), vector.clone()),
        ("embeddings.LayerNorm.bias".into(), vector.clone()),
    ];
    for (name, outputs, inputs) in [
        ("attention.self.query", FEATURES, FEATURES),
        ("attention.self.key", FEATURES, FEATURES),
        ("attention.self.value", FEATURES, FEATURES),
        ("attention.output.dense", FEATURES, FEATURES),
        ("intermediate.dense", UNITS, FEATURES),
        ("output.dense", FEATURES, UNITS),
    ] {
        let name = format!("encoder.layer.0.{name}");
        tensors.push((format!("{name}.weight"), vec![outputs, inputs]));
        tensors.push((format!("{name}.bias"), vec![outputs]));
    }
    for name in ["attention.output", "output"] {
        for part in ["weight", "bias"] {
            let name = format!("encoder.layer.0.{name}.LayerNorm.{part}");
            tensors.push((name, vector.clone()));
        }
    }
    let mut header = Map::new();
    let mut bytes: Vec<u8> = Vec::new();
    for (name, shape) in tensors {
        let start = bytes.len();
        let values = (0..shape.iter().product::<usize>()).map(|i| (0.9 * (i + 1) as f32).sin());
        bytes.extend(values.flat_map(f32::to_le_bytes));
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, bytes.len()]});
        header.insert(name, entry);
    }
    let header = Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &bytes].concat()
}
