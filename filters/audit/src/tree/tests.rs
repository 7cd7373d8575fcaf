use proptest::prelude::*;

use super::*;
use data_encoding::HEXLOWER;

/// RFC 6962 section 2.1, word for word.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty(),
        [leaf] => *leaf,
        _ => {
            let k = split(leaves.len());
            node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
        }
    }
}

/// Section 2.1.1.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (mut proof, other) =
        if m < k { (path(m, &leaves[..k]), mth(&leaves[k..])) } else { (path(m - k, &leaves[k..]), mth(&leaves[..k])) };
    proof.push(other);
    proof
}

/// Section 2.1.2.
fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { Vec::new() } else { vec![mth(leaves)] };
    }
    let k = split(leaves.len());
    let (mut proof, other) = if m <= k {
        (subproof(m, &leaves[..k], whole), mth(&leaves[k..]))
    } else {
        (subproof(m - k, &leaves[k..], false), mth(&leaves[..k]))
    };
    proof.push(other);
    proof
}

/// The largest power of two below `n`.
fn split(n: usize) -> usize {
    let mut k = 1;
    while 2 * k < n {
        k *= 2;
    }
    k
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(format!("line {i}").as_bytes())).collect()
}

/// The tree of these leaves, and its stored hashes.
fn grown(leaves: &[Hash]) -> (Tree, Vec<Hash>) {
    let (mut tree, mut stored) = (Tree::default(), Vec::new());
    for leaf in leaves {
        tree.push(*leaf, &mut stored);
    }
    (tree, stored.chunks_exact(32).map(|hash| hash.try_into().unwrap()).collect())
}

#[test]
fn roots_are_those_that_others_compute() {
    // The leaves and roots that the implementations of Certificate Transparency test with.
    let inputs: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let (mut tree, mut stored) = (Tree::default(), Vec::new());
    assert_eq!(HEXLOWER.encode(&tree.root()), roots[0]);
    for (input, root) in inputs.iter().zip(&roots[1..]) {
        tree.push(leaf_hash(input), &mut stored);
        assert_eq!(HEXLOWER.encode(&tree.root()), *root);
    }
}

#[test]
fn hashes_are_stored_in_the_order_in_which_they_are_complete() {
    let leaves = leaves(300);
    let (tree, nodes) = grown(&leaves);
    let mut wanted = Vec::new();
    for end in 1..=leaves.len() {
        for level in 0..=end.trailing_zeros() {
            let (width, n) = (1usize << level, (end >> level) as u64 - 1);
            assert_eq!(stored_index(level, n), wanted.len() as u64, "{level} {n}");
            wanted.push(mth(&leaves[end - width..end]));
        }
        assert_eq!(stored_count(end as u64), wanted.len() as u64);
    }
    assert_eq!(nodes, wanted);
    assert_eq!(stored_count(0), 0);
    for size in [0, 1, 2, 3, 255, 256, 257, 300] {
        let resumed = Tree::resume(size, &nodes).unwrap();
        assert_eq!((resumed.size(), resumed.root()), (size, mth(&leaves[..size as usize])));
    }
    assert_eq!(Tree::resume(300, &nodes).unwrap(), tree);
    assert!(Tree::resume(301, &nodes).is_err());
    assert_eq!((stored_index(64, 0), stored_index(0, u64::MAX), stored_index(63, 1)), (u64::MAX, u64::MAX, u64::MAX));
    assert_eq!(stored_index(62, 0), (1 << 63) - 2);
}

#[test]
fn proofs_are_those_of_the_rfc_for_every_small_tree() {
    let leaves = leaves(40);
    let (_, nodes) = grown(&leaves);
    for new in 0..=leaves.len() {
        let root = mth(&leaves[..new]);
        assert_eq!(super::root(&nodes, new as u64).unwrap(), root);
        for index in 0..new {
            let proof = inclusion(&nodes, index as u64, new as u64).unwrap();
            assert_eq!(proof, path(index, &leaves[..new]));
            assert_eq!(verify_inclusion(&leaves[index], index as u64, new as u64, &proof, &root), Ok(()));
        }
        assert!(inclusion(&nodes, new as u64, new as u64).is_err());
        for old in 0..=new {
            let proof = consistency(&nodes, old as u64, new as u64).unwrap();
            assert_eq!(proof, if old == 0 { Vec::new() } else { subproof(old, &leaves[..new], true) });
            let old_root = mth(&leaves[..old]);
            assert_eq!(verify_consistency(old as u64, &old_root, new as u64, &root, &proof), Ok(()));
        }
        assert!(consistency(&nodes, new as u64 + 1, new as u64).is_err());
    }
}

proptest! {
    #[test]
    fn a_proof_shows_one_thing_alone(
        size in 1u64..200,
        at: u64,
        other: u64,
        byte in 0usize..32,
        flip in 1u8..=255,
    ) {
        let leaves = leaves(size as usize);
        let (tree, nodes) = grown(&leaves);
        let (at, root) = (at % size, tree.root());
        let leaf = leaves[at as usize];
        let proof = inclusion(&nodes, at, size).unwrap();
        prop_assert_eq!(verify_inclusion(&leaf, at, size, &proof, &root), Ok(()));
        // Another index, another leaf, another root, another hash, one hash more or less.
        let elsewhere = other % (size + 3);
        prop_assert_eq!(verify_inclusion(&leaf, elsewhere, size, &proof, &root).is_ok(), elsewhere == at);
        let mut wrong = leaf;
        wrong[byte] ^= flip;
        prop_assert!(verify_inclusion(&wrong, at, size, &proof, &root).is_err());
        prop_assert!(verify_inclusion(&leaf, at, size, &proof, &wrong).is_err());
        for i in 0..proof.len() {
            let mut changed = proof.clone();
            changed[i][byte] ^= flip;
            prop_assert!(verify_inclusion(&leaf, at, size, &changed, &root).is_err());
            changed.remove(i);
            prop_assert!(verify_inclusion(&leaf, at, size, &changed, &root).is_err());
        }
        let longer = [&proof[..], &[wrong]].concat();
        prop_assert!(verify_inclusion(&leaf, at, size, &longer, &root).is_err());
    }

    #[test]
    fn a_consistency_proof_shows_one_thing_alone(
        size in 1u64..200,
        old: u64,
        byte in 0usize..32,
        flip in 1u8..=255,
    ) {
        let leaves = leaves(size as usize);
        let (tree, nodes) = grown(&leaves);
        let (old, root) = (old % (size + 1), tree.root());
        let old_root = super::root(&nodes, old).unwrap();
        let proof = consistency(&nodes, old, size).unwrap();
        prop_assert_eq!(verify_consistency(old, &old_root, size, &root, &proof), Ok(()));
        let (mut wrong_old, mut wrong) = (old_root, root);
        wrong_old[byte] ^= flip;
        wrong[byte] ^= flip;
        prop_assert!(verify_consistency(old, &wrong_old, size, &root, &proof).is_err());
        // Everything continues an empty log.
        prop_assert_eq!(verify_consistency(old, &old_root, size, &wrong, &proof).is_ok(), old == 0);
        prop_assert!(verify_consistency(size + 1, &old_root, size, &root, &proof).is_err());
        for i in 0..proof.len() {
            let mut changed = proof.clone();
            changed[i][byte] ^= flip;
            prop_assert!(verify_consistency(old, &old_root, size, &root, &changed).is_err());
            changed.remove(i);
            prop_assert!(verify_consistency(old, &old_root, size, &root, &changed).is_err());
        }
        let longer = [&proof[..], &[wrong]].concat();
        prop_assert!(verify_consistency(old, &old_root, size, &root, &longer).is_err());
    }

    #[test]
    fn nothing_from_outside_panics(
        sizes: (u64, u64),
        proof in proptest::collection::vec(any::<Hash>(), 0..70),
        hash: Hash,
        level: u32,
    ) {
        let (a, b) = sizes;
        prop_assert!(verify_inclusion(&hash, a, b, &proof, &hash).is_err());
        prop_assert!(a == b || a == 0 || verify_consistency(a, &hash, b, &hash, &proof).is_err());
        prop_assert!(stored_index(level, a) >= a);
        prop_assert!(stored_count(a) >= a);
    }
}

#[test]
fn stored_hashes_and_proofs_are_those_of_go() {
    // From `golang.org/x/mod/sumdb/tlog`, over the same 300 lines.
    let (tree, nodes) = grown(&leaves(300));
    assert_eq!(HEXLOWER.encode(&tree.root()), "811443a8597e55d2e471e2dc907f3e62055414aa90d9de05c78b6795b31b29f9");
    let digest = HEXLOWER.encode(&Sha256::digest(nodes.concat()));
    assert_eq!(
        (nodes.len(), digest.as_str()),
        (596, "bb15bd6df679207a0f50cc2912e6a95228549e19bda0045ca0bd86932aa92e1d")
    );
    let mut every = Sha256::new();
    for size in 1..=40 {
        (0..size).for_each(|index| every.update(inclusion(&nodes, index, size).unwrap().concat()));
        (1..=size).for_each(|old| every.update(consistency(&nodes, old, size).unwrap().concat()));
    }
    let digest = HEXLOWER.encode(&every.finalize());
    assert_eq!(digest, "e9031cee70c2f9c336b0274c42aa87d366e01ae0842ad677ffab3ab71972a870");
    let consistency: Vec<String> = consistency(&nodes, 77, 300).unwrap().iter().map(|h| HEXLOWER.encode(h)).collect();
    assert_eq!(consistency.len(), 10);
    assert_eq!(consistency[0], "8b675a285501e7739d442aa6dfbd7f4b40a317159cbf123a96da6798ef846b59");
    assert_eq!(consistency[9], "2f958017fe92c3378bd98a46154a73df5e8de9c7e231dc66e6b51aa4e2994ca2");
}
