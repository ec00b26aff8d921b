//! Files with PyTorch's packed names. `pytorch_files/torch_nn.py` made the file, with inputs and PyTorch's own outputs.

use blitz_layers::prelude::*;
use blitz_layers::pytorch::PyTorchNames;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::transformer::{TransformerEncoderConfig, TransformerEncoderLayer};
use burn::nn::{
    BatchNorm, BatchNormConfig, BiGru, BiGruConfig, BiLstm, BiLstmConfig, GroupNorm,
    GroupNormConfig, Gru, GruConfig, InstanceNorm, InstanceNormConfig, LayerNorm, LayerNormConfig,
    LinearConfig, Lstm, LstmConfig, PRelu, PReluConfig, Rnn, RnnConfig,
};
use burn::store::{
    BurnToPyTorchAdapter, HalfPrecisionAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore,
    PyTorchToBurnAdapter, SafetensorsStore, bridge,
};
use burn::tensor::{Bool, Device, Tensor, s};

fn store() -> SafetensorsStore {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/suite/pytorch_files/torch_nn.safetensors"
    );
    let norms = (r"^encoder\.norm(\d)", "encoder.norm_$1");
    SafetensorsStore::from_file(path)
        .with_from_adapter(PyTorchToBurnAdapter)
        .with_key_remapping(norms.0, norms.1)
}

fn tensor<const D: usize>(name: &str) -> Tensor<D> {
    let mut store = store();
    let found = store.get_tensor(name).unwrap();
    let found = found.unwrap_or_else(|| panic!("no {name}"));
    Tensor::from_data(bridge::to_data(found).unwrap(), &Device::flex())
}

/// Whether it is PyTorch's output for the module.
fn is_pytorchs<const D: usize>(module: &str, output: Tensor<D>) {
    let expected = tensor::<D>(&format!("{module}.output"));
    assert_eq!(output.dims(), expected.dims());
    let error: f32 = (output - expected).abs().max().into_scalar();
    assert!(error < 2e-6, "{module} is off by {error}");
}

fn loaded<M: Module>(module: M) -> M {
    let mut named = PyTorchNames::TorchNn.of(module);
    let result = named.load_from(&mut store()).unwrap();
    assert!(result.errors.is_empty() && result.missing.is_empty());
    named.into_module()
}

#[derive(Module, Debug)]
struct OfBurn {
    lstm: Lstm,
    lstm_bare: BiLstm,
    gru: Gru,
    gru_both: BiGru,
    rnn: Rnn,
    attention: MultiHeadAttention,
    encoder: TransformerEncoderLayer,
    instance_norm: InstanceNorm,
    group_norm: GroupNorm,
    batch_norm: BatchNorm,
    layer_norm: LayerNorm,
    prelu: PRelu,
}

impl OfBurn {
    fn new(device: &Device) -> Self {
        let encoder = TransformerEncoderConfig::new(4, 6, 2, 1).with_dropout(0.0);
        Self {
            lstm: LstmConfig::new(3, 3, true).init(device),
            lstm_bare: BiLstmConfig::new(3, 3, false).init(device),
            gru: GruConfig::new(3, 3, true).init(device),
            gru_both: BiGruConfig::new(3, 3, true).init(device),
            rnn: RnnConfig::new(3, 3, true).init(device),
            attention: MultiHeadAttentionConfig::new(4, 2)
                .with_dropout(0.0)
                .init(device),
            encoder: TransformerEncoderLayer::new(&encoder, device),
            instance_norm: InstanceNormConfig::new(4).init(device),
            group_norm: GroupNormConfig::new(2, 4).init(device),
            batch_norm: BatchNormConfig::new(4).init(device),
            layer_norm: LayerNormConfig::new(4).init(device),
            prelu: PReluConfig::new().with_num_parameters(4).init(device),
        }
    }

    fn gives_pytorchs_outputs(&self) {
        let x = || tensor::<3>("lstm.input.0");
        is_pytorchs("lstm", self.lstm.forward(x(), None).0);
        is_pytorchs("lstm_bare", self.lstm_bare.forward(x(), None).0);
        is_pytorchs("gru", self.gru.forward(x(), None));
        is_pytorchs("gru_both", self.gru_both.forward(x(), None).0);
        is_pytorchs("rnn", self.rnn.forward(x(), None).0);
        let s = || tensor::<3>("attention.input.0");
        let attended = self.attention.forward(MhaInput::self_attn(s())).context;
        is_pytorchs("attention", attended);
        is_pytorchs("encoder", self.encoder.forward(s(), None, None));
        is_pytorchs("layer_norm", self.layer_norm.forward(s()));
        let image = || tensor::<4>("group_norm.input.0");
        is_pytorchs("instance_norm", self.instance_norm.forward(image()));
        is_pytorchs("group_norm", self.group_norm.forward(image()));
        is_pytorchs("batch_norm", self.batch_norm.forward(image()));
        is_pytorchs("prelu", self.prelu.forward(image()));
    }
}

#[derive(Module, Debug)]
struct Bayesian {
    lstm: BayesianLstm,
    lstm_stack: BayesianLstm,
    lstm_bare: BayesianLstm,
    gru: BayesianGru,
    gru_both: BayesianGru,
}

impl Bayesian {
    fn new(device: &Device) -> Self {
        let lstm = |size, bias| BayesianLstmConfig::new(3, size, bias);
        let gru = BayesianGruConfig::new(3, 3, true);
        Self {
            lstm: lstm(3, true).init(device),
            lstm_stack: lstm(4, true)
                .with_num_layers(2)
                .with_bidirectional(true)
                .init(device),
            lstm_bare: lstm(3, false).with_bidirectional(true).init(device),
            gru: gru.init(device),
            gru_both: gru.with_bidirectional(true).init(device),
        }
    }

    fn gives_pytorchs_outputs(&self) {
        let x = || tensor::<3>("lstm.input.0");
        self.with_mean(|net| {
            is_pytorchs("lstm", net.lstm.forward(x(), None).0);
            is_pytorchs("lstm_stack", net.lstm_stack.forward(x(), None).0);
            is_pytorchs("lstm_bare", net.lstm_bare.forward(x(), None).0);
            is_pytorchs("gru", net.gru.forward(x(), None).0);
            is_pytorchs("gru_both", net.gru_both.forward(x(), None).0);
        });
    }
}

#[test]
fn burns_modules_give_pytorchs_outputs_with_its_weights() {
    loaded(OfBurn::new(&Device::flex())).gives_pytorchs_outputs();
}

#[test]
fn bayesian_modules_give_pytorchs_outputs_and_keep_their_posteriors() {
    let net = Bayesian::new(&Device::flex());
    let before = net.weight_marginals();
    let net = loaded(net);
    net.gives_pytorchs_outputs();
    for (after, before) in net.weight_marginals().iter().zip(before) {
        assert_eq!(after.std_devs, before.std_devs);
        assert_ne!(after.means, before.means);
    }
    // Inside `map_means` as well, where nothing is attached.
    let net = Bayesian::new(&Device::flex()).map_means(|means| Ok::<_, ()>(loaded(means)));
    net.unwrap().gives_pytorchs_outputs();
}

#[test]
fn converted_modules_give_pytorchs_outputs() {
    let net = OfBurn::new(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    let std = net.weight_marginals()[0].std_devs[0];
    let net = loaded(net);
    assert_eq!(net.weight_marginals()[0].std_devs[0], std);
    net.mean_network().gives_pytorchs_outputs();
}

/// The names and shapes of the file.
fn names(bytes: Vec<u8>) -> Vec<(String, Vec<usize>)> {
    let mut store = SafetensorsStore::from_bytes(Some(bytes));
    let tensors = store.get_all_tensors().unwrap();
    let names = tensors
        .iter()
        .map(|(name, t)| (name.clone(), t.shape.to_vec()));
    names.collect()
}

fn written(module: &impl Module, adapter: impl ModuleAdapter + 'static) -> Vec<u8> {
    let mut store = SafetensorsStore::from_bytes(None).with_to_adapter(adapter);
    let named = PyTorchNames::TorchNn.of(module.clone());
    named.save_into(&mut store).unwrap();
    store.get_bytes().unwrap()
}

#[test]
fn what_is_written_has_the_names_shapes_and_values_of_pytorchs_file() {
    let net = loaded(OfBurn::new(&Device::flex()).bayesianize(&BayesianizeConfig::new()));
    let bytes = written(&net, BurnToPyTorchAdapter);
    let mut pytorchs = store();
    let mut ours = SafetensorsStore::from_bytes(Some(bytes.clone()));
    assert!(names(bytes).len() > 40);
    for (name, tensor) in ours.get_all_tensors().unwrap() {
        let data = bridge::to_data(tensor).unwrap();
        let expected = pytorchs.get_tensor(name).unwrap();
        let expected = expected.unwrap_or_else(|| panic!("PyTorch has no {name}"));
        data.assert_eq(&bridge::to_data(expected).unwrap(), true);
    }
    let stack = written(
        &loaded(Bayesian::new(&Device::flex())),
        BurnToPyTorchAdapter,
    );
    let stack = names(stack);
    for (name, shape) in [
        ("lstm_stack.weight_ih_l1_reverse", vec![16, 8]),
        ("lstm_stack.bias_hh_l0", vec![16]),
        ("gru_both.weight_hh_l0_reverse", vec![9, 3]),
    ] {
        assert!(stack.contains(&(name.to_string(), shape)), "{stack:?}");
    }
}

#[test]
fn a_file_in_half_precision_comes_back() {
    let device = Device::flex();
    let net = loaded(Bayesian::new(&device));
    let bytes = written(
        &net,
        BurnToPyTorchAdapter.chain(HalfPrecisionAdapter::new()),
    );
    let adapter = PyTorchToBurnAdapter.chain(HalfPrecisionAdapter::new());
    let mut store = SafetensorsStore::from_bytes(Some(bytes)).with_from_adapter(adapter);
    let mut back = PyTorchNames::TorchNn.of(Bayesian::new(&device));
    back.load_from(&mut store).unwrap();
    let marginals = back.into_module().weight_marginals();
    for (back, there) in marginals.iter().zip(net.weight_marginals()) {
        for (back, there) in back.means.iter().zip(there.means) {
            assert!((back - there).abs() <= there.abs() * 2f32.powi(-11) + 1e-7);
        }
    }
}

#[test]
fn a_layer_of_another_kind_or_size_is_refused_by_name() {
    let device = Device::flex();
    #[derive(Module, Debug)]
    struct Wrong {
        gru: BayesianLstm,
    }
    let gru = BayesianLstmConfig::new(3, 3, true).init(&device);
    let mut named = PyTorchNames::TorchNn.of(Wrong { gru });
    let error = named.load_from(&mut store()).unwrap_err().to_string();
    assert!(error.contains("gru.weight_ih_l0"), "{error}");
    assert!(error.contains("12") && error.contains('9'), "{error}");
}

#[test]
fn a_packed_tensor_of_which_the_module_lacks_a_part_is_neither_read_nor_written() {
    #[derive(Module, Debug)]
    struct Partial {
        lstm: Lstm,
        attention: MultiHeadAttention,
    }
    let device = Device::flex();
    let lstm = LstmConfig::new(3, 3, true).with_input_forget(true);
    let attention = MultiHeadAttentionConfig::new(4, 2).with_value_bias(false);
    let net = Partial {
        lstm: lstm.init(&device),
        attention: attention.init(&device),
    };
    let mut named = PyTorchNames::TorchNn.of(net.clone());
    let result = named.load_from(&mut store().allow_partial(true)).unwrap();
    let missing: Vec<_> = result.missing.iter().map(|(path, _)| path).collect();
    for path in [
        "lstm.input_gate.input_transform.weight",
        "lstm.output_gate.hidden_transform.bias",
        "attention.query.bias",
    ] {
        assert!(
            missing.iter().any(|missing| *missing == path),
            "{missing:?}"
        );
    }
    let applied = |name: &str| result.applied.iter().any(|applied| applied == name);
    assert!(applied("attention.in_proj_weight"));
    let written = names(written(&net, BurnToPyTorchAdapter));
    let has = |name: &str| written.iter().any(|(written, _)| written == name);
    assert!(has("attention.in_proj_weight") && has("attention.query.bias"));
    assert!(!has("attention.in_proj_bias") && !has("lstm.weight_ih_l0"));
}

/// Types of a user's, of which a traversal tells the names of Burn's.
mod own {
    use burn::module::Module;
    use burn::nn::Linear;

    #[derive(Module, Debug)]
    pub struct MultiHeadAttention {
        pub query: Linear,
        pub key: Linear,
        pub value: Linear,
        pub project: Option<Linear>,
        pub output: Option<Linear>,
    }
}

/// An attention of a user's, by the inputs and outputs of its layers.
fn own_attention(sizes: [[usize; 2]; 3], name: &str) -> own::MultiHeadAttention {
    let linear = |[d_in, d_out]: [usize; 2]| LinearConfig::new(d_in, d_out).init(&Device::flex());
    let [query, key, value] = sizes.map(linear);
    let last = |field| (field == name).then(|| linear([sizes[0][1], sizes[0][0]]));
    own::MultiHeadAttention {
        query,
        key,
        value,
        project: last("project"),
        output: last("output"),
    }
}

#[test]
fn an_attention_of_a_users_keeps_its_names_and_values_unless_it_is_burns_by_its_shapes() {
    let grouped = [[8, 8], [8, 2], [8, 2]];
    let across = [[8, 8], [6, 8], [6, 8]];
    let narrow = [[8, 4]; 3];
    let alike = [[8, 8]; 3];
    for (sizes, last) in [
        (grouped, "output"),
        (across, "output"),
        (narrow, "output"),
        (alike, "project"),
    ] {
        let net = own_attention(sizes, last);
        let bytes = written(&net, BurnToPyTorchAdapter);
        let all = names(bytes.clone());
        for (name, [d_in, d_out]) in ["query", "key", "value"].into_iter().zip(sizes) {
            let tensors = [
                (format!("{name}.weight"), vec![d_out, d_in]),
                (format!("{name}.bias"), vec![d_out]),
            ];
            assert!(tensors.iter().all(|tensor| all.contains(tensor)), "{all:?}");
        }
        let mut store =
            SafetensorsStore::from_bytes(Some(bytes)).with_from_adapter(PyTorchToBurnAdapter);
        let mut named = PyTorchNames::TorchNn.of(own_attention(sizes, last));
        named.load_from(&mut store).unwrap();
        let back = named.into_module();
        let weights = |net: &own::MultiHeadAttention| {
            [&net.query, &net.key, &net.value].map(|layer| layer.weight.val().into_data())
        };
        assert_eq!(weights(&back), weights(&net));
    }
    let burns = names(written(
        &own_attention(alike, "output"),
        BurnToPyTorchAdapter,
    ));
    assert!(burns.contains(&("in_proj_weight".to_string(), vec![24, 8])));
}

/// Further training, under a prior that is not centred at zero.
struct Moved;

impl ModuleMapper for Moved {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Neither ρ nor the mask, which are flat.
        if D == 1 {
            param
        } else {
            param.map(|mean| mean + 0.5)
        }
    }
}

#[test]
fn what_is_pruned_is_zero_in_a_file_however_its_stored_mean_has_moved() {
    #[derive(Module, Debug)]
    struct Net {
        linear: BayesianLinear,
        lstm: BayesianLstm,
    }
    let device = Device::flex();
    let whole = Net {
        linear: BayesianLinearConfig::new(3, 4).init(&device),
        lstm: BayesianLstmConfig::new(3, 3, true).init(&device),
    };
    let file = written(&whole, BurnToPyTorchAdapter);
    let (pruned, _) = whole.prune_by_signal_to_noise(0.5);
    let tensors = |bytes: Vec<u8>| {
        let mut store = SafetensorsStore::from_bytes(Some(bytes));
        let all = store.get_all_tensors().unwrap();
        let values = all.iter().map(|(name, tensor)| {
            let data = bridge::to_data(tensor).unwrap();
            (name.clone(), data.iter::<f32>().collect::<Vec<_>>())
        });
        values.collect::<Vec<_>>()
    };
    let moved = pruned.clone().map(&mut Moved);
    assert_eq!(
        tensors(written(&moved, BurnToPyTorchAdapter)),
        tensors(written(&moved.mean_network(), BurnToPyTorchAdapter))
    );
    // A file leaves it as it is.
    let mut store =
        SafetensorsStore::from_bytes(Some(file)).with_from_adapter(PyTorchToBurnAdapter);
    let mut named = PyTorchNames::TorchNn.of(moved.clone());
    named.load_from(&mut store).unwrap();
    let back = named.into_module();
    assert_eq!(means(&back), means(&pruned));
    let stored = |net: &Net| {
        net.linear
            .weight
            .base()
            .into_data()
            .iter::<f32>()
            .collect::<Vec<_>>()
    };
    for ((back, moved), mean) in stored(&back)
        .iter()
        .zip(stored(&moved))
        .zip(&means(&back)[0])
    {
        assert_eq!(*back, if *mean == 0.0 { moved } else { *mean });
    }
}

fn means(net: &impl Module) -> Vec<Vec<f32>> {
    let marginals = net.weight_marginals().into_iter();
    marginals.map(|weight| weight.means).collect()
}

/// The batch whose first row is padded after three steps, with numbers that are none.
fn padded() -> Tensor<3> {
    let x = tensor::<3>("lstm.input.0");
    let nan = x.clone().slice(s![..1, 3.., ..]).full_like(f32::NAN);
    x.slice_assign(s![..1, 3.., ..], nan)
}

#[test]
fn padded_sequences_give_the_outputs_and_states_of_pytorchs_packed_ones() {
    let net = loaded(Bayesian::new(&Device::flex()));
    let lengths = [3, 5];
    net.with_mean(|net| {
        let (output, state) = net.lstm_stack.forward_padded(padded(), &lengths, None);
        is_pytorchs("lstm_stack_padded", output);
        is_pytorchs("lstm_stack_padded.hidden", state.hidden);
        is_pytorchs("lstm_stack_padded.cell", state.cell);
        let (output, state) = net.gru_both.forward_padded(padded(), &lengths, None);
        is_pytorchs("gru_both_padded", output);
        is_pytorchs("gru_both_padded.hidden", state);
    });
}

#[test]
fn a_mask_is_the_same_as_lengths_and_padding_in_front_is_passed_over() {
    let device = Device::flex();
    let net = loaded(Bayesian::new(&device));
    let mask = |rows: [[bool; 5]; 2]| Tensor::<2, Bool>::from_data(rows, &device);
    let (no, yes) = (false, true);
    let end = mask([[no, no, no, yes, yes], [no; 5]]);
    net.with_draw(1, 0, |net| {
        let (masked, state) = net.gru_both.forward_masked(padded(), end, None);
        let (expected, last) = net.gru_both.forward_padded(padded(), &[3, 5], None);
        assert_eq!(masked.into_data(), expected.into_data());
        assert_eq!(state.into_data(), last.into_data());
    });
    let x = tensor::<3>("lstm.input.0");
    let front = mask([[yes, yes, no, no, no], [no; 5]]);
    net.with_draw(1, 0, |net| {
        let (masked, state) = net.lstm.forward_masked(x.clone(), front, None);
        let short = x.clone().slice(s![..1, 2.., ..]);
        let (expected, last) = net.lstm.forward(short, None);
        let difference = masked.slice(s![..1, 2.., ..]) - expected;
        assert!(difference.abs().max().into_scalar::<f32>() < 1e-6);
        let difference = state.cell.slice(s![.., ..1, ..]) - last.cell;
        assert!(difference.abs().max().into_scalar::<f32>() < 1e-6);
    });
}

#[test]
fn gradients_of_padded_sequences_are_finite_and_none_comes_from_the_padding() {
    let device = Device::flex().autodiff();
    let lstm = BayesianLstmConfig::new(3, 4, true).with_bidirectional(true);
    let lstm = lstm.init(&device);
    let input = Tensor::<3>::from_data(padded().into_data(), &device).require_grad();
    let (output, _) = lstm.forward_padded(input.clone(), &[3, 5], None);
    let grads = output.square().sum().backward();
    let of_input: Vec<f32> = input.grad(&grads).unwrap().into_data().iter().collect();
    assert!(of_input[9..15].iter().all(|g| *g == 0.0));
    assert!(of_input[..9].iter().all(|g| *g != 0.0 && g.is_finite()));
    let gate = &lstm.layers[0].forward.input_gate.input_transform.weight;
    let of_weight = gate.base().grad(&grads).unwrap().into_data();
    assert!(of_weight.iter::<f32>().all(f32::is_finite));
}

#[test]
#[should_panic(expected = "between 1 and the 5 steps of the batch, got 6 for sequence 1")]
fn a_length_beyond_the_batch_is_refused() {
    let lstm = BayesianLstmConfig::new(3, 4, true).init(&Device::flex());
    lstm.forward_padded(padded(), &[3, 6], None);
}
