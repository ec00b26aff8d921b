//! The values that are drawn do not change: a difference from these tables is a value-breaking change, to be told in
//! the changelog.
//!
//! Draws of the normal family, masks, signs and noise are held to the bit, on flex. The arithmetic of the other
//! families goes through Burn's operations, whose rounding is Burn's: they are held to a few units in the last place.

use std::collections::BTreeMap;

use blitz_core::prelude::*;
use blitz_core::{LayerNoise, LowRankNormalPosteriorConfig, SharpeningConfig};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, Lstm, LstmConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::digest::{assert_table, given, of_network, of_tensor};
use crate::net::families;
use crate::priors::priors;
use crate::types::{TYPES, unit};

const SEED: u64 = 8;

/// Every posterior family by its name in the tables.
fn named_families() -> [(&'static str, PosteriorConfig); 7] {
    families(0.3).map(|family| match family {
        PosteriorConfig::Normal(_) => ("normal", family),
        PosteriorConfig::Laplace(_) => ("laplace", family),
        // The tables are of four degrees of freedom.
        PosteriorConfig::StudentT(_) => ("student_t", PosteriorConfig::student_t(4.0, 0.3)),
        PosteriorConfig::Radial(_) => ("radial", family),
        PosteriorConfig::LowRankNormal(_) => ("low_rank_normal", family),
        PosteriorConfig::FullRankNormal(_) => ("full_rank_normal", family),
        PosteriorConfig::MatrixNormal(_) => ("matrix_normal", family),
        other => panic!("{other:?} has no name in the tables"),
    })
}

/// One weight of each of three ranks.
#[derive(Module, Debug)]
struct Ranks {
    one: Param<Tensor<1>>,
    two: Param<Tensor<2>>,
    four: Param<Tensor<4>>,
}

impl Ranks {
    fn new(device: &Device) -> Self {
        Self {
            one: Param::from_tensor(Tensor::zeros([11], device)),
            two: Param::from_tensor(Tensor::zeros([7, 5], device)),
            four: Param::from_tensor(Tensor::zeros([3, 2, 3, 5], device)),
        }
    }
}

fn bayesian<M: Module>(module: M, family: &PosteriorConfig, dtype: DType) -> M {
    let config = BayesianizeConfig::new().with_posterior(family.clone());
    given(module.bayesianize(&config), 0.4, dtype)
}

/// A nested module with lists.
#[derive(Module, Debug)]
struct Nested {
    embedding: Embedding,
    lstm: Lstm,
    convs: Vec<Conv2d>,
    heads: (Linear, Option<Linear>),
}

impl Nested {
    fn new(device: &Device) -> Self {
        let conv = |channels| Conv2dConfig::new(channels, [3, 2]).init(device);
        Self {
            embedding: EmbeddingConfig::new(9, 3).init(device),
            lstm: LstmConfig::new(3, 4, true).init(device),
            convs: vec![conv([2, 3]), conv([3, 1])],
            heads: (
                LinearConfig::new(4, 3).init(device),
                Some(LinearConfig::new(3, 2).with_bias(false).init(device)),
            ),
        }
    }
}

const EXACT: &[(&str, u64)] = &[
    ("linear BF16 0", 0x4149a20db2aba90d),
    ("linear BF16 1", 0xe6f7663b8ee209ef),
    ("linear BF16 2", 0x0ec4f5a094dd4bc1),
    ("linear F16 0", 0xe768640cf665d49d),
    ("linear F16 1", 0x041a31ab0468d432),
    ("linear F16 2", 0xcf3e3e86da360e08),
    ("linear F32 0", 0xf94aaa4deec0d54c),
    ("linear F32 1", 0xd347d105a559a040),
    ("linear F32 2", 0xa7abd6d8c38fb863),
    ("linear F64 0", 0x0f70078fca24ad85),
    ("linear F64 1", 0x7adf1cdaff9f27b3),
    ("linear F64 2", 0xd68cd5de912e05b0),
    ("lstm BF16 0", 0x6b660ede1ce530a4),
    ("lstm BF16 1", 0x3184dac30793ba1f),
    ("lstm BF16 2", 0x8f72c6fbe5442685),
    ("lstm F16 0", 0xadd16020ae475d83),
    ("lstm F16 1", 0xbfea4ca4176bee53),
    ("lstm F16 2", 0x0c063209c6a26b13),
    ("lstm F32 0", 0xe77d8417d5d5294c),
    ("lstm F32 1", 0x2b953fb33f58870b),
    ("lstm F32 2", 0xeb41df765ed1bf72),
    ("lstm F64 0", 0x80827d9b515d9d8c),
    ("lstm F64 1", 0x28f2c96b3307fabe),
    ("lstm F64 2", 0x8047763146329bde),
    ("nested BF16 0", 0xb96337c34875d1aa),
    ("nested BF16 1", 0x91bd2fa3b1438261),
    ("nested BF16 2", 0x442d12be87ef516d),
    ("nested F16 0", 0x0907a748bd7de2da),
    ("nested F16 1", 0x70a7a6e1b7fabc18),
    ("nested F16 2", 0xca1cbd9b512989de),
    ("nested F32 0", 0xce155c9d65c518fa),
    ("nested F32 1", 0x8e35a52850a5597b),
    ("nested F32 2", 0x56b391f122fe960d),
    ("nested F64 0", 0xf76e6e0d936239d0),
    ("nested F64 1", 0x237d34308946c935),
    ("nested F64 2", 0xe7494fa1d29ffd50),
    ("ranks BF16 0 rank 1", 0x046677d70eb5b6ab),
    ("ranks BF16 0 rank 2", 0x7083c9cf8e57d57b),
    ("ranks BF16 0 rank 4", 0x350f97e1fe27007c),
    ("ranks BF16 4294967299 rank 1", 0x56a5a0af84845dd7),
    ("ranks BF16 4294967299 rank 2", 0xad2678f6a9169e3b),
    ("ranks BF16 4294967299 rank 4", 0x9bd985d1383f2108),
    ("ranks F16 0 rank 1", 0xb0d129bd57b16c07),
    ("ranks F16 0 rank 2", 0xa0f83069195f8a85),
    ("ranks F16 0 rank 4", 0x97bd6423da315fb4),
    ("ranks F16 4294967299 rank 1", 0xc614f2517e51aa5e),
    ("ranks F16 4294967299 rank 2", 0x3b6eb0a284071874),
    ("ranks F16 4294967299 rank 4", 0x3737ccb5ed66d544),
    ("ranks F32 0 rank 1", 0xaee557a0d906d496),
    ("ranks F32 0 rank 2", 0x65fb1a70b9024f2b),
    ("ranks F32 0 rank 4", 0x0aca0924723023ae),
    ("ranks F32 4294967299 rank 1", 0x7c80a1b27b285d75),
    ("ranks F32 4294967299 rank 2", 0x7600ba1a10748852),
    ("ranks F32 4294967299 rank 4", 0xf90c1ec175803160),
    ("ranks F64 0 rank 1", 0x5cbf3817e6b0ba7f),
    ("ranks F64 0 rank 2", 0xe89227e12a604eae),
    ("ranks F64 0 rank 4", 0x55dde9b8aa8c97e3),
    ("ranks F64 4294967299 rank 1", 0x37c6dd5d30081f0c),
    ("ranks F64 4294967299 rank 2", 0x0b0dadc5df2aa5d7),
    ("ranks F64 4294967299 rank 4", 0x09872e8094ac21ee),
];

#[test]
fn draws_of_the_normal_family_are_those_of_earlier_versions_to_the_bit() {
    let device = Device::flex();
    let normal = PosteriorConfig::normal(0.3);
    let mut got = BTreeMap::new();
    for dtype in TYPES {
        let net = bayesian(Ranks::new(&device), &normal, dtype);
        for index in [0, 1 << 32 | 3] {
            let _draw = net.draw(SEED, index);
            let mut add = |rank: &str, digest| {
                got.insert(format!("ranks {dtype:?} {index} rank {rank}"), digest);
            };
            add("1", of_tensor(net.one.val()));
            add("2", of_tensor(net.two.val()));
            add("4", of_tensor(net.four.val()));
        }
        for index in 0..3 {
            let mut add = |name: &str, digest| {
                got.insert(format!("{name} {dtype:?} {index}"), digest);
            };
            let linear = bayesian(LinearConfig::new(40, 30).init(&device), &normal, dtype);
            add("linear", of_network(&linear.sample_network(SEED, index)));
            let lstm = bayesian(LstmConfig::new(5, 6, true).init(&device), &normal, dtype);
            add("lstm", of_network(&lstm.sample_network(SEED, index)));
            let nested = bayesian(Nested::new(&device), &normal, dtype);
            add("nested", of_network(&nested.sample_network(SEED, index)));
        }
    }
    assert_table(EXACT, &got);
}

#[test]
fn a_draw_depends_neither_on_the_prior_nor_on_autodiff_nor_on_being_asked_for_its_kl() {
    let expected = |dtype: DType| {
        let name = format!("nested {dtype:?} 1");
        EXACT.iter().find(|(row, _)| *row == name).unwrap().1
    };
    for device in [Device::flex(), Device::flex().autodiff()] {
        for dtype in TYPES {
            for prior in priors() {
                let config = BayesianizeConfig::new()
                    .with_posterior(PosteriorConfig::normal(0.3))
                    .with_prior(prior.clone());
                let net = given(Nested::new(&device).bayesianize(&config), 0.4, dtype);
                let name = format!("{dtype:?}, {prior:?}, {device:?}");
                assert_eq!(
                    of_network(&net.sample_network(SEED, 1)),
                    expected(dtype),
                    "{name}"
                );
                let _draw = net.draw(SEED, 1).with_kl();
                assert_eq!(
                    of_network(&net.clone().materialize()),
                    expected(dtype),
                    "{name}, with its KL"
                );
            }
        }
    }
}

/// The first three values and the last of draw 1 of a weight.
const CLOSE: &[(&str, [f64; 4])] = &[
    (
        "laplace F64 rank 1",
        [
            -0.21781602647692683,
            -0.510447700535233,
            0.3028068599467337,
            -0.3936731711712369,
        ],
    ),
    (
        "laplace F64 rank 2",
        [
            0.750626426607202,
            -0.4902172396830291,
            -0.27285444350744403,
            -0.112191982977364,
        ],
    ),
    (
        "laplace F64 rank 4",
        [
            0.5979207972374592,
            -0.4978846797598781,
            0.5202224916278244,
            0.37368512501718154,
        ],
    ),
    (
        "laplace F32 rank 1",
        [
            -0.2178160399198532,
            -0.5104476809501648,
            0.3028068542480469,
            -0.3936731815338135,
        ],
    ),
    (
        "laplace F32 rank 2",
        [
            0.7506263852119446,
            -0.4902172386646271,
            -0.27285444736480713,
            -0.11219198256731033,
        ],
    ),
    (
        "laplace F32 rank 4",
        [
            0.5979207754135132,
            -0.49788469076156616,
            0.5202224254608154,
            0.3736851215362549,
        ],
    ),
    (
        "student_t F64 rank 1",
        [
            0.36875489218394103,
            -0.05644111853379926,
            0.0943963963788929,
            -0.19065638649786704,
        ],
    ),
    (
        "student_t F64 rank 2",
        [
            -0.8902988793087159,
            -0.9388684521457047,
            -0.25417439186348684,
            -0.09434344723581613,
        ],
    ),
    (
        "student_t F64 rank 4",
        [
            0.7219094166371312,
            -0.6422868081103231,
            0.6728389102816417,
            0.11323503428494318,
        ],
    ),
    (
        "student_t F32 rank 1",
        [
            0.36875489354133606,
            -0.05644111707806587,
            0.09439640492200851,
            -0.1906563937664032,
        ],
    ),
    (
        "student_t F32 rank 2",
        [
            -0.8902988433837891,
            -0.9388684034347534,
            -0.2541743814945221,
            -0.09434344619512558,
        ],
    ),
    (
        "student_t F32 rank 4",
        [
            0.7219095230102539,
            -0.6422867774963379,
            0.6728388667106628,
            0.11323503404855728,
        ],
    ),
    (
        "radial F64 rank 1",
        [
            -0.3752295744697461,
            -0.11321031281861803,
            0.389495866365796,
            -0.21188173768615293,
        ],
    ),
    (
        "radial F64 rank 2",
        [
            -1.2189306440958108,
            -1.5889435151320601,
            -0.14145284513228662,
            -0.10135305141111713,
        ],
    ),
    (
        "radial F64 rank 4",
        [
            -2.1015819515767125,
            -0.35004780603756547,
            -0.7902756784898232,
            0.1657398021355069,
        ],
    ),
    (
        "radial F32 rank 1",
        [
            -0.3752295672893524,
            -0.11321031302213669,
            0.3894958794116974,
            -0.21188174188137054,
        ],
    ),
    (
        "radial F32 rank 2",
        [
            -1.218930721282959,
            -1.5889434814453125,
            -0.1414528489112854,
            -0.10135304927825928,
        ],
    ),
    (
        "radial F32 rank 4",
        [
            -2.1015820503234863,
            -0.3500477969646454,
            -0.7902757525444031,
            0.16573980450630188,
        ],
    ),
    (
        "full_rank_normal F64 rank 1",
        [
            0.42613255212049483,
            -0.05434342090642488,
            0.05341080608394483,
            -0.18883283943500204,
        ],
    ),
    (
        "full_rank_normal F64 rank 2",
        [
            -0.8050754093891861,
            -1.0067872978765042,
            -0.240529830621829,
            0.061851682331696745,
        ],
    ),
    (
        "full_rank_normal F64 rank 4",
        [
            0.30459815302731963,
            -0.6776893053420874,
            0.7454871774526264,
            0.27464290858840484,
        ],
    ),
    (
        "full_rank_normal F32 rank 1",
        [
            0.42613255977630615,
            -0.054343417286872864,
            0.05341079831123352,
            -0.1888328343629837,
        ],
    ),
    (
        "full_rank_normal F32 rank 2",
        [
            -0.8050754070281982,
            -1.0067873001098633,
            -0.2405298352241516,
            0.061851657927036285,
        ],
    ),
    (
        "full_rank_normal F32 rank 4",
        [
            0.30459821224212646,
            -0.6776893138885498,
            0.7454871535301208,
            0.2746428847312927,
        ],
    ),
    (
        "low_rank_normal F64 rank 1",
        [
            -0.7831504038227852,
            -0.06087103151293885,
            0.5274465056581645,
            0.04662585563887192,
        ],
    ),
    (
        "low_rank_normal F64 rank 2",
        [
            -1.8848557722369073,
            -1.5537227162372045,
            -0.6481061795954673,
            0.4105563029087381,
        ],
    ),
    (
        "low_rank_normal F64 rank 4",
        [
            0.5585783464471041,
            -0.33489153951248585,
            0.7822385189965095,
            -0.38909705231850694,
        ],
    ),
    (
        "low_rank_normal F32 rank 1",
        [
            -0.7831504344940186,
            -0.06087101995944977,
            0.5274465084075928,
            0.04662586748600006,
        ],
    ),
    (
        "low_rank_normal F32 rank 2",
        [
            -1.8848557472229004,
            -1.5537227392196655,
            -0.6481061577796936,
            0.41055628657341003,
        ],
    ),
    (
        "low_rank_normal F32 rank 4",
        [
            0.5585784316062927,
            -0.33489152789115906,
            0.7822384834289551,
            -0.38909709453582764,
        ],
    ),
    (
        "matrix_normal F64 rank 1",
        [
            0.42613255212049483,
            -0.05434342090642488,
            0.05341080608394483,
            -0.18883283943500204,
        ],
    ),
    (
        "matrix_normal F64 rank 2",
        [
            -0.6951398018471191,
            -1.0934742436235507,
            -0.17610465828455144,
            -0.09571449726354785,
        ],
    ),
    (
        "matrix_normal F64 rank 4",
        [
            0.2132127722227667,
            -0.7531954700132617,
            0.7019586061431995,
            0.11872983834868014,
        ],
    ),
    (
        "matrix_normal F32 rank 1",
        [
            0.42613255977630615,
            -0.054343417286872864,
            0.05341079831123352,
            -0.1888328343629837,
        ],
    ),
    (
        "matrix_normal F32 rank 2",
        [
            -0.6951397657394409,
            -1.0934741497039795,
            -0.17610466480255127,
            -0.0957144945859909,
        ],
    ),
    (
        "matrix_normal F32 rank 4",
        [
            0.2132127285003662,
            -0.7531954646110535,
            0.7019585967063904,
            0.1187298372387886,
        ],
    ),
];

#[test]
fn draws_of_the_other_families_are_those_of_earlier_versions_to_rounding() {
    let device = Device::flex();
    let mut table = String::new();
    let mut differs = false;
    for (name, family) in named_families().into_iter().skip(1) {
        for dtype in [DType::F64, DType::F32] {
            let net = bayesian(Ranks::new(&device), &family, dtype);
            let _draw = net.draw(SEED, 1);
            let weights = [
                net.one.val().into_data(),
                net.two.val().into_data(),
                net.four.val().into_data(),
            ];
            for (rank, weight) in [1, 2, 4].into_iter().zip(weights) {
                let row = format!("{name} {dtype:?} rank {rank}");
                let values: Vec<f64> = weight.iter::<f64>().collect();
                let got = [values[0], values[1], values[2], values[values.len() - 1]];
                table += &format!("    (\"{row}\", {got:?}),\n");
                let expected = CLOSE.iter().find(|(name, _)| *name == row);
                // Sums of three terms of the size of 1, and what functions lose on the way.
                differs |= expected.is_none_or(|(_, expected)| {
                    let mut pairs = got.iter().zip(expected);
                    pairs.any(|(a, b)| (a - b).abs() > 8.0 * unit(dtype) * b.abs().max(1.0))
                });
            }
        }
    }
    assert!(!differs, "the values drawn have changed:\n{table}");
}

/// The factors that a low-rank posterior begins with.
const FACTORS: &[(&str, u64)] = &[
    ("[11] rank 3 seed 0", 0xbc453cdf5a31b8dc),
    ("[2] rank 4 seed 0", 0x391aaea5828d87c2),
    ("[7, 5] rank 3 seed 0", 0x2dde6396f4cab5b0),
    ("[7, 5] rank 4 seed 9", 0x23adb52dcd609ada),
];

#[test]
fn initial_factors_of_the_low_rank_posterior_are_those_of_earlier_versions_to_the_bit() {
    let device = Device::flex();
    let mut got = BTreeMap::new();
    for (shape, rank, seed) in [
        (vec![11], 3, 0),
        (vec![7, 5], 3, 0),
        (vec![7, 5], 4, 9),
        (vec![2], 4, 0),
    ] {
        let config = LowRankNormalPosteriorConfig::new()
            .with_rank(rank)
            .with_initial_std(0.3)
            .with_seed(seed);
        let posterior = config.init(&shape.clone().into(), &device);
        let name = format!("{shape:?} rank {rank} seed {seed}");
        got.insert(name, of_tensor(posterior.factor.val()));
    }
    assert_table(FACTORS, &got);
}

const SHARPENED: &[(&str, u64)] = &[("F32", 0x3b30d9ec5edee335), ("F64", 0x42eae4c2c09467f8)];

#[test]
fn sharpening_moves_weights_by_the_noise_of_earlier_versions_to_the_bit() {
    let device = Device::flex();
    let mut got = BTreeMap::new();
    for dtype in [DType::F64, DType::F32] {
        let net = bayesian(Ranks::new(&device), &PosteriorConfig::normal(0.3), dtype);
        let sharpening = SharpeningConfig::new().with_std(0.1).init(&net);
        let _draw = sharpening.prior_draw(&net, SEED, 1);
        got.insert(format!("{dtype:?}"), of_network(&net.clone().materialize()));
    }
    assert_table(SHARPENED, &got);
}

const LAYER_NOISE: &[(&str, u64)] = &[
    ("call 0 BF16 mask", 0x51b4ddd282a01358),
    ("call 0 BF16 normals", 0x4e04a1d32578c2d0),
    ("call 0 BF16 signs", 0xff99e59ee49dac18),
    ("call 0 F16 mask", 0x979c31df2e9ede59),
    ("call 0 F16 normals", 0x0e3f2f6a00c6e2c6),
    ("call 0 F16 signs", 0x87b848eb610aafd9),
    ("call 0 F32 mask", 0xde1d09c7d644ab48),
    ("call 0 F32 normals", 0xc5925d7183f626fc),
    ("call 0 F32 signs", 0xfc0f02364ec7ec48),
    ("call 0 F64 mask", 0x4ee3b54774b64e58),
    ("call 0 F64 normals", 0x47b55c75cf6036c1),
    ("call 0 F64 signs", 0xa2e00207acff5b58),
    ("call 1 BF16 mask", 0x3b554a7ef6839085),
    ("call 1 BF16 normals", 0xf9b25072d5022c9f),
    ("call 1 BF16 signs", 0x7cb099f484e19218),
    ("call 1 F16 mask", 0xff2f94d84f208ead),
    ("call 1 F16 normals", 0x8a13948ccaddf157),
    ("call 1 F16 signs", 0x837f4fd31b9de2d9),
    ("call 1 F32 mask", 0xbe9848b6478831e5),
    ("call 1 F32 normals", 0xfd1a2d17c501b7e4),
    ("call 1 F32 signs", 0x34ad9fd62773d648),
    ("call 1 F64 mask", 0x3db3b8d265dc76a5),
    ("call 1 F64 normals", 0xe53fa24defc2ab77),
    ("call 1 F64 signs", 0x69e630e9ada65e58),
    ("call 2 BF16 mask", 0x208d1abce7d96eb8),
    ("call 2 BF16 normals", 0xa0c37d965e449b62),
    ("call 2 BF16 signs", 0x841ea506dac93218),
    ("call 2 F16 mask", 0x119c6f723ee81299),
    ("call 2 F16 normals", 0xa0d2a406cf0fe741),
    ("call 2 F16 signs", 0xed8b2d8bad6663d9),
    ("call 2 F32 mask", 0xe4ca4f4583f83c08),
    ("call 2 F32 normals", 0xa12193a9f8962850),
    ("call 2 F32 signs", 0x92c9a262bc32f448),
    ("call 2 F64 mask", 0x3e38a481e6f077d8),
    ("call 2 F64 normals", 0x05890218debb833a),
    ("call 2 F64 signs", 0x275a072d6b519558),
];

#[test]
fn noise_of_layers_and_of_reads_without_a_draw_is_that_of_earlier_versions_to_the_bit() {
    let device = Device::flex();
    let mut got = BTreeMap::new();
    let layers = [LayerNoise::new(), LayerNoise::new()];
    for dtype in TYPES {
        let like = Tensor::<2>::zeros([5, 7], &device).cast(dtype);
        let _draw = Draw::anonymous(SEED, 1);
        // The second call of a layer has values of its own.
        for (call, layer) in [0, 1, 0].into_iter().enumerate() {
            let mut add = |what: &str, digest| {
                got.insert(format!("call {call} {dtype:?} {what}"), digest);
            };
            let mut noise = layers[layer].take(200).unwrap();
            add("normals", of_tensor(noise.standard_normal(&like)));
            add("signs", of_tensor(noise.signs::<2, 2>([5, 7], &like)));
            add(
                "mask",
                of_tensor(noise.bernoulli::<2, 2>(0.3, [5, 7], &like)),
            );
        }
    }
    assert_table(LAYER_NOISE, &got);
}
