//! Which parameters make up which tensor of the file.

use std::collections::{HashMap, HashSet};

use blitz_core::fields;
use burn::tensor::Shape;

use super::PyTorchNames;
use super::entry::{Entry, Part, Share};
use super::walk::{Place, Step, joined};

/// The gates of a recurrent cell, in the order in which PyTorch stacks them.
const CELLS: [(&[&str], &[&str]); 3] = [
    (
        &["Lstm", "BayesianLstmCell"],
        &["input_gate", "forget_gate", "cell_gate", "output_gate"],
    ),
    (
        &["Gru", "BayesianGruCell"],
        &["reset_gate", "update_gate", "new_gate"],
    ),
    (&["Rnn"], &["gate"]),
];

/// The types with a field for each direction of time.
const BOTH_WAYS: [&str; 4] = ["BiLstm", "BiGru", "BiRnn", "Recurrent"];

/// The projections that an attention has packed.
const PROJECTIONS: [&str; 3] = ["query", "key", "value"];

const TRANSFORMERS: [&str; 2] = ["TransformerEncoderLayer", "TransformerDecoderLayer"];

/// Fields of Burn's modules, and of the same in PyTorch.
///
/// The norms of a transformer's layer are not among them: which of Burn's is PyTorch's `norm1` depends on `norm_first`,
/// and a traversal cannot see that.
const FIELDS: [(&[&str], &str, &str); 8] = [
    (&["MultiHeadAttention"], "output", "out_proj"),
    (&["TransformerEncoderLayer"], "mha", "self_attn"),
    (&["TransformerDecoderLayer"], "cross_attn", "multihead_attn"),
    (&["PositionWiseFeedForward"], "linear_inner", "linear1"),
    (&["PositionWiseFeedForward"], "linear_outer", "linear2"),
    (&["InstanceNorm"], "gamma", "weight"),
    (&["InstanceNorm"], "beta", "bias"),
    (&["PRelu"], "alpha", "weight"),
];

/// The component before what is attached to a weight, if the path is in that.
pub(super) fn attached_at(steps: &[Step]) -> Option<usize> {
    steps
        .iter()
        .position(|step| step.container == fields::ATTACHED && step.name == fields::POSTERIOR)
}

/// The path in the file of a parameter that is one tensor there as well.
///
/// What Burn's adapters rename by themselves, such as the γ of a layer norm, is left to them.
pub(super) fn renamed(steps: &[Step]) -> Vec<Step> {
    let steps = steps.iter().filter(|step| !is_left_out(step));
    let renamed = steps.map(|step| {
        let name = FIELDS
            .iter()
            .find(|(types, burn, _)| *burn == step.name && step.is_in(types));
        let name = name.map_or(step.name.as_str(), |(_, _, torch)| torch);
        Step::new(name, &step.container)
    });
    renamed.collect()
}

/// PyTorch has the two linear layers of a feed-forward network in the transformer's layer.
fn is_left_out(step: &Step) -> bool {
    step.name == "pwff" && step.is_in(&TRANSFORMERS)
}

/// The tensors of the file that are not one parameter each.
pub(super) fn entries(names: PyTorchNames, places: &[Place]) -> Vec<Entry> {
    let mut of_posteriors = Entries::default();
    if names != PyTorchNames::TorchNn {
        let by_path = places.iter().map(|place| (place.path.as_str(), place));
        let by_path: HashMap<_, _> = by_path.collect();
        for place in places {
            let weight = weight_of_normal(place).and_then(|path| by_path.get(path.as_str()));
            let Some(weight) = weight else { continue };
            let Some([mean, rho]) = slots(names, &weight.steps) else {
                continue;
            };
            of_posteriors.add(mean, &weight.path, weight, true);
            of_posteriors.add(rho, &place.path, weight, false);
        }
    }
    let mut all = of_posteriors.whole();
    let taken: HashSet<_> = all.iter().flat_map(Entry::paths).collect();
    let mut of_means = Entries::default();
    let attentions = Attentions::of(places);
    for place in places {
        let is_free = attached_at(&place.steps).is_none() && !taken.contains(place.path.as_str());
        let slot = || packed(&place.steps, &attentions);
        if let Some(slot) = is_free.then(slot).flatten() {
            of_means.add(slot, &place.path, place, false);
        }
    }
    all.extend(of_means.whole());
    all
}

/// Where a parameter stands in the file.
struct Slot {
    steps: Vec<Step>,
    /// Its place among those that share the tensor.
    index: usize,
    /// How many they are.
    blocks: usize,
    /// The place that no parameter has.
    spare: Option<usize>,
    transposed: bool,
    axis: usize,
    share: Share,
}

impl Slot {
    /// In a tensor of its own, of the layout that PyTorch has.
    fn alone(steps: Vec<Step>, transposed: bool) -> Self {
        Self {
            steps,
            index: 0,
            blocks: 1,
            spare: None,
            transposed,
            axis: 0,
            share: Share::Whole,
        }
    }
}

/// The tensors of the file, as their parts are found.
#[derive(Default)]
struct Entries {
    all: Vec<Entry>,
    /// Where each is, by its name.
    index: HashMap<String, usize>,
}

impl Entries {
    /// Adds the parameter of this path, the mean or the ρ of `weight`.
    fn add(&mut self, slot: Slot, path: &str, weight: &Place, has_posterior: bool) {
        let part = Part {
            path: path.to_string(),
            weight: weight.path.clone(),
            shape: weight.shape.clone(),
            index: slot.index,
            share: slot.share,
        };
        let name = joined(&slot.steps);
        if let Some(index) = self.index.get(&name) {
            return self.all[*index].parts.push(part);
        }
        self.index.insert(name, self.all.len());
        self.all.push(Entry {
            steps: slot.steps,
            parts: vec![part],
            blocks: slot.blocks,
            spare: slot.spare,
            transposed: slot.transposed,
            axis: slot.axis,
            has_posterior,
        });
    }

    /// Those of which the module has every part, all of one shape.
    ///
    /// A part that it has not, such as the forget gate of an LSTM with `input_forget`, would be passed over in a file
    /// and made up in one that is written.
    fn whole(self) -> Vec<Entry> {
        let mut whole = self.all;
        whole.retain(Entry::is_whole);
        for entry in &mut whole {
            entry.parts.sort_by_key(|part| part.index);
        }
        whole
    }
}

/// The attentions that are Burn's: a traversal tells the name of a type alone, which one of the user's may have too.
struct Attentions(HashSet<String>);

impl Attentions {
    /// Those whose projections are matrices of one square shape, as all four of Burn's are.
    fn of(places: &[Place]) -> Self {
        let mut matrices: HashMap<String, Vec<(&str, &Shape)>> = HashMap::new();
        for place in places {
            if let [attention @ .., field, last] = &place.steps[..]
                && field.is_in(&["MultiHeadAttention"])
                && last.name == "weight"
            {
                let matrix = (field.name.as_str(), &place.shape);
                matrices.entry(joined(attention)).or_default().push(matrix);
            }
        }
        matrices.retain(|_, matrices| {
            let names = matrices.iter().map(|(name, _)| *name);
            let shape = matrices[0].1;
            let is_square = matches!(shape[..], [rows, columns] if rows == columns);
            names.eq(PROJECTIONS.into_iter().chain(["output"]))
                && is_square
                && matrices.iter().all(|(_, other)| *other == shape)
        });
        Self(matrices.into_keys().collect())
    }
}

/// A tensor of PyTorch's with several parameters of Burn's, if the parameter belongs to one.
fn packed(steps: &[Step], attentions: &Attentions) -> Option<Slot> {
    let is_matrix = steps.last()?.name == "weight";
    let kind = if is_matrix { "weight" } else { "bias" };
    let (before, name, index, blocks) = match gate(steps) {
        Some(gate) => {
            let (before, layer, direction) = layer_of(gate.cell);
            let name = format!("{kind}_{}_l{layer}{direction}", gate.part);
            (before, name, gate.index, gate.names.len())
        }
        None => {
            let [before @ .., field, _] = steps else {
                return None;
            };
            if !attentions.0.contains(&joined(before)) {
                return None;
            }
            let index = PROJECTIONS.iter().position(|name| *name == field.name)?;
            (before, format!("in_proj_{kind}"), index, PROJECTIONS.len())
        }
    };
    let mut file = renamed(before);
    file.push(Step::new(&name, "Struct:Linear"));
    Some(Slot {
        index,
        blocks,
        ..Slot::alone(file, is_matrix)
    })
}

/// A parameter of a gate.
struct Gate<'a> {
    /// The path of its cell.
    cell: &'a [Step],
    /// All gates of the cell.
    names: &'static [&'static str],
    index: usize,
    /// `ih` for what multiplies the input, `hh` for the hidden state.
    part: &'static str,
}

fn gate(steps: &[Step]) -> Option<Gate<'_>> {
    let [cell @ .., gate, transform, _] = steps else {
        return None;
    };
    let part = match transform.name.as_str() {
        "input_transform" => "ih",
        "hidden_transform" => "hh",
        _ => return None,
    };
    let (_, names) = CELLS.iter().find(|(types, _)| gate.is_in(types))?;
    let index = names.iter().position(|name| *name == gate.name)?;
    Some(Gate {
        cell,
        names,
        index,
        part,
    })
}

/// The path of the whole layer, the number of the cell in its stack, and the suffix of its direction.
fn layer_of(mut cell: &[Step]) -> (&[Step], usize, &'static str) {
    let mut direction = "";
    if let [before @ .., way] = cell
        && way.is_in(&BOTH_WAYS)
        && ["forward", "reverse"].contains(&way.name.as_str())
    {
        if way.name == "reverse" {
            direction = "_reverse";
        }
        cell = before;
    }
    if let [before @ .., layers, index] = cell
        && layers.is_in(&["Recurrent"])
        && let Ok(index) = index.name.parse()
    {
        return (before, index, direction);
    }
    (cell, 0, direction)
}

/// The path of the weight of which the parameter is the ρ of a normal posterior by configuration.
fn weight_of_normal(place: &Place) -> Option<String> {
    let at = attached_at(&place.steps)?;
    let names = place.steps[at + 1..].iter().map(|step| step.name.as_str());
    let is_rho = names.eq(["posterior", "Normal", "rho"]);
    is_rho.then(|| joined(&place.steps[..at]))
}

/// The path of the weight of which the parameter says what is pruned.
pub(super) fn weight_of_mask(place: &Place) -> Option<String> {
    let at = attached_at(&place.steps)?;
    let is_mask = matches!(&place.steps[at + 1..], [step] if step.name == "mask");
    is_mask.then(|| joined(&place.steps[..at]))
}

/// Where a library has the mean and the ρ of a weight.
fn slots(names: PyTorchNames, weight: &[Step]) -> Option<[Slot; 2]> {
    let (last, before) = weight.split_last()?;
    if let Some(gate) = gate(weight) {
        return match names {
            PyTorchNames::BayesianTorch => gate_of_bayesian_torch(&gate, last),
            PyTorchNames::Blitz => gate_of_blitz(&gate, last),
            _ => None,
        };
    }
    let transposed = last.name == "weight" && last.is_in(&["Linear"]);
    let titles = titles(names, last)?;
    Some(titles.map(|title| Slot::alone(at(before, &title), transposed)))
}

/// A path in the file, by its last name.
fn at(before: &[Step], title: &str) -> Vec<Step> {
    let mut steps = renamed(before);
    steps.push(Step::new(title, "Struct:Linear"));
    steps
}

/// An `LSTMReparameterization` has two of its linear layers, of all gates each.
fn gate_of_bayesian_torch(gate: &Gate<'_>, last: &Step) -> Option<[Slot; 2]> {
    if gate.names.len() != 4 {
        return None;
    }
    let mut before = gate.cell.to_vec();
    before.push(Step::new(gate.part, "Struct:Recurrent"));
    let titles = titles(PyTorchNames::BayesianTorch, last)?;
    Some(titles.map(|title| Slot {
        index: gate.index,
        blocks: 4,
        ..Slot::alone(at(&before, &title), last.name == "weight")
    }))
}

/// A `BayesianLSTM` or `BayesianGRU` has a column for each gate's unit, not transposed, and one bias where there are
/// two here: their sum has its distribution if each has half of the mean and half of the variance.
///
/// The GRU has room for a fourth gate: of the candidate, the input's columns are the third, the hidden state's the
/// fourth, and so are its two biases. The other one of the two is spare in each matrix.
fn gate_of_blitz(gate: &Gate<'_>, last: &Step) -> Option<[Slot; 2]> {
    let is_gru = gate.names.len() == 3;
    let is_candidate = is_gru && gate.index == 2;
    if gate.names.len() == 1 {
        return None;
    }
    let index = gate.index + usize::from(is_candidate && gate.part == "hh");
    let spare = if gate.part == "hh" { 2 } else { 3 };
    let (title, axis) = match last.name.as_str() {
        "weight" => (format!("weight_{}", gate.part), 1),
        _ => ("bias".to_string(), 0),
    };
    let halves = [("mu", Share::HalfOfMean), ("rho", Share::HalfOfVariance)];
    Some(halves.map(|(kind, half)| Slot {
        index,
        blocks: 4,
        spare: (is_gru && last.name == "weight").then_some(spare),
        axis,
        share: match last.name == "weight" || is_candidate {
            true => Share::Whole,
            false => half,
        },
        ..Slot::alone(at(gate.cell, &format!("{title}_{kind}")), false)
    }))
}

/// The names of the mean and the ρ of a layer's parameter.
fn titles(names: PyTorchNames, field: &Step) -> Option<[String; 2]> {
    let name = field.name.as_str();
    if !["weight", "bias"].contains(&name) {
        return None;
    }
    Some(match names {
        PyTorchNames::TorchNn => return None,
        PyTorchNames::Blitz => [format!("{name}_mu"), format!("{name}_rho")],
        PyTorchNames::BayesianTorch => {
            // A convolution's weight is its kernel.
            let is_kernel = name == "weight" && !field.is_in(&["Linear"]);
            let name = if is_kernel { "kernel" } else { name };
            [format!("mu_{name}"), format!("rho_{name}")]
        }
        PyTorchNames::TorchUncertainty => [format!("{name}_mu"), format!("{name}_sigma")],
    })
}
