//! BERT out of Burn's modules, with the weights of a checkpoint: MiniLM-L6 is one.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig};
use burn::store::{
    FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore,
};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use example_support::{Digest, KeptError, RunError, first_not_finite};
use serde::Deserialize;

use crate::data::Tokens;

/// The files of a folder with a network and its tokenizer.
const FILES: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];

/// A digest of the network and the tokenizer in a folder.
///
/// # Errors
///
/// Fails if one of the files can't be read.
pub(crate) fn digest(folder: &Path) -> Result<Digest, KeptError> {
    let mut files = FILES.iter().map(|name| folder.join(name));
    files.try_fold(Digest::default(), |digest, file| digest.file(&file))
}

/// What `config.json` says of the network, under its names there.
#[derive(Debug, Clone, Deserialize)]
pub struct Shape {
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Features of a token.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of a layer.
    pub num_attention_heads: usize,
    /// Units of a layer's feed-forward network.
    pub intermediate_size: usize,
    /// The longest sequence.
    pub max_position_embeddings: usize,
    /// Kinds of tokens.
    pub type_vocab_size: usize,
    /// Added to the variance in layer norms.
    pub layer_norm_eps: f64,
    /// The activation.
    pub hidden_act: String,
    /// What kind of network it is, if the file says so.
    pub model_type: Option<String>,
    /// How the network knows the places of tokens.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
}

/// What a file means that does not say.
fn absolute() -> String {
    "absolute".into()
}

impl Shape {
    fn read(path: &Path) -> Result<Self, RunError> {
        let text = std::fs::read_to_string(path).map_err(|error| RunError::data(path, error))?;
        let shape: Self =
            serde_json::from_str(&text).map_err(|error| RunError::data(path, error))?;
        if let Some(kind) = shape.model_type.as_ref().filter(|kind| *kind != "bert") {
            // RoBERTa, for one, has the names of BERT's tensors and counts places from 2.
            let reason = format!("the network is a {kind}, not a bert");
            return Err(RunError::data(path, reason));
        }
        if shape.hidden_act != "gelu" {
            let reason = format!("the activation is {}, not gelu", shape.hidden_act);
            return Err(RunError::data(path, reason));
        }
        if shape.position_embedding_type != absolute() {
            let reason = format!(
                "the position embeddings are {}, not absolute",
                shape.position_embedding_type
            );
            return Err(RunError::data(path, reason));
        }
        let eps = shape.layer_norm_eps;
        if eps < 0.0 {
            let reason = format!("layer_norm_eps is {eps}, below 0");
            return Err(RunError::data(path, reason));
        }
        let (features, heads) = (shape.hidden_size, shape.num_attention_heads);
        if heads == 0 || !features.is_multiple_of(heads) {
            let reason = format!("{features} features are not divided by {heads} heads");
            return Err(RunError::data(path, reason));
        }
        Ok(shape)
    }
}

impl Shape {
    /// Before the network is made: that of a damaged number may have no end.
    fn fits_into(&self, file: &Path) -> Result<(), RunError> {
        let bytes = file
            .metadata()
            .map_err(|error| RunError::data(file, error))?;
        let [features, units, layers] = [
            self.hidden_size,
            self.intermediate_size,
            self.num_hidden_layers,
        ]
        .map(|size| size as f64);
        let tokens = [
            self.vocab_size,
            self.max_position_embeddings,
            self.type_vocab_size,
        ];
        let tokens: f64 = tokens.map(|size| size as f64).iter().sum();
        let weights = features * (tokens + layers * (4.0 * features + 2.0 * units));
        // A number of a checkpoint takes a byte at least.
        if weights > bytes.len() as f64 {
            let reason = format!(
                "its {} bytes can't hold the {weights:.3e} weights of config.json ({} layers of {} features)",
                bytes.len(),
                self.num_hidden_layers,
                self.hidden_size
            );
            return Err(RunError::data(file, reason));
        }
        Ok(())
    }
}

/// The words, their places and kinds, and the transformer. Its dropout is 0.
#[derive(Module, Debug)]
pub struct Bert {
    word: Embedding,
    place: Embedding,
    kind: Embedding,
    norm: LayerNorm,
    /// The layers.
    pub encoder: TransformerEncoder,
}

/// The names in the checkpoint, as regular expressions, and those here.
const NAMES: [(&str, &str); 11] = [
    (r"^bert\.", ""),
    (r"^embeddings\.word_embeddings\.", "word."),
    (r"^embeddings\.position_embeddings\.", "place."),
    (r"^embeddings\.token_type_embeddings\.", "kind."),
    (r"^embeddings\.LayerNorm\.", "norm."),
    (
        r"^encoder\.layer\.(\d+)\.attention\.self\.",
        "encoder.layers.$1.mha.",
    ),
    (
        r"^encoder\.layer\.(\d+)\.attention\.output\.dense\.",
        "encoder.layers.$1.mha.output.",
    ),
    (
        r"^encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.",
        "encoder.layers.$1.norm_1.",
    ),
    (
        r"^encoder\.layer\.(\d+)\.intermediate\.dense\.",
        "encoder.layers.$1.pwff.linear_inner.",
    ),
    (
        r"^encoder\.layer\.(\d+)\.output\.dense\.",
        "encoder.layers.$1.pwff.linear_outer.",
    ),
    (
        r"^encoder\.layer\.(\d+)\.output\.LayerNorm\.",
        "encoder.layers.$1.norm_2.",
    ),
];

impl Bert {
    fn new(shape: &Shape, device: &Device) -> Self {
        let features = shape.hidden_size;
        let embedding = |count| EmbeddingConfig::new(count, features).init(device);
        let encoder = TransformerEncoderConfig::new(
            features,
            shape.intermediate_size,
            shape.num_attention_heads,
            shape.num_hidden_layers,
        );
        Self {
            word: embedding(shape.vocab_size),
            place: embedding(shape.max_position_embeddings),
            kind: embedding(shape.type_vocab_size),
            norm: LayerNormConfig::new(features)
                .with_epsilon(shape.layer_norm_eps)
                .init(device),
            encoder: encoder
                .with_layer_norm_eps(shape.layer_norm_eps)
                .with_dropout(0.0)
                .init(device),
        }
    }

    /// The network of `config.json` in a folder with the weights of `model.safetensors`, in `f32` whatever their types
    /// are there. A head of the checkpoint, such as a pooler, is left aside.
    ///
    /// # Errors
    ///
    /// Returns an error that names the file and what of it is missing, of another shape, no finite number, or one too
    /// many, as of a checkpoint with more layers.
    pub fn load(folder: &Path, device: &Device) -> Result<(Shape, Self), RunError> {
        let shape = Shape::read(&folder.join("config.json"))?;
        let path: PathBuf = folder.join("model.safetensors");
        if !path.is_file() {
            return Err(RunError::data(&path, "there is no such file"));
        }
        shape.fits_into(&path)?;
        // Tensors of several types can't be added.
        let in_f32 = FloatCastAdapter::to(DType::F32);
        let mut store = SafetensorsStore::from_file(&path)
            .with_from_adapter(PyTorchToBurnAdapter.chain(in_f32))
            .allow_partial(true);
        for (theirs, ours) in NAMES {
            store = store.with_key_remapping(theirs, ours);
        }
        let mut net = Self::new(&shape, device);
        let result = net.load_from(&mut store);
        let result = result.map_err(|error| RunError::data(&path, in_one_line(&error)))?;
        if let Some(error) = result.errors.first() {
            return Err(RunError::data(&path, in_one_line(error)));
        }
        // A head, or the numbers of places, which older files have, are no part of the layers.
        let parts = [
            "encoder.",
            "word.",
            "place.",
            "kind.",
            "norm.",
            "embeddings.",
        ];
        let is_beyond = |name: &&String| {
            parts.iter().any(|part| name.starts_with(part)) && *name != "embeddings.position_ids"
        };
        let beyond: Vec<&String> = result.unused.iter().filter(is_beyond).collect();
        if let Some(first) = beyond.first() {
            let reason = format!(
                "the network of config.json has no place for {} of its tensors, the first is {first}",
                beyond.len()
            );
            return Err(RunError::data(&path, reason));
        }
        if let Some((first, _)) = result.missing.first() {
            let reason = format!(
                "{} of the network's tensors are missing, the first is {first}",
                result.missing.len()
            );
            return Err(RunError::data(&path, reason));
        }
        if let Some(name) = first_not_finite(&net) {
            let reason = format!("{name} has a number that is NaN or infinite");
            return Err(RunError::data(&path, reason));
        }
        Ok((shape, net))
    }

    /// The first layer's input for texts by the numbers of their tokens.
    pub fn tokens(&self, texts: &[&[u32]], device: &Device) -> Tokens {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let shape = [texts.len(), longest];
        let mut words = Vec::with_capacity(shape[0] * shape[1]);
        let mut padding = Vec::with_capacity(shape[0] * shape[1]);
        for text in texts {
            words.extend(text.iter().map(|word| *word as i32));
            words.resize(words.len() + longest - text.len(), 0);
            padding.extend((0..longest).map(|at| at >= text.len()));
        }
        let words = Tensor::<2, Int>::from_data(TensorData::new(words, shape), device);
        let places = Tensor::<1, Int>::arange(0..longest as i64, device).unsqueeze::<2>();
        // Of a text by itself all tokens are of the first kind.
        let kind = self.kind.forward(Tensor::<2, Int>::zeros([1, 1], device));
        let states = self.word.forward(words) + self.place.forward(places) + kind;
        Tokens {
            states: self.norm.forward(states),
            padding: Tensor::from_data(TensorData::new(padding, shape), device),
        }
    }
}

fn in_one_line(error: &impl std::fmt::Display) -> String {
    // Of a network whose every tensor is of another shape it would be a page.
    const LONGEST: usize = 500;
    let text = error.to_string();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}
