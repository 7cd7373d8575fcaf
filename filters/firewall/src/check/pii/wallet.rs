//! Addresses of wallets: not secret, but whoever sees one sees its owner's money.

use sha2::{Digest, Sha256};

/// An old address of Bitcoin or Litecoin: Base58 with the beginning of a hash behind it.
pub(super) fn bitcoin(text: &str) -> bool {
    let mut decoded = [0u8; 25];
    if bs58::decode(text).onto(&mut decoded) != Ok(25) {
        return false;
    }
    let (Some(body), Some(check)) = (decoded.get(..21), decoded.get(21..)) else { return false };
    matches!(body, [0 | 5 | 0x30 | 0x32, ..]) && Sha256::digest(Sha256::digest(body)).starts_with(check)
}

/// A newer address of Bitcoin.
pub(super) fn segwit(text: &str) -> bool {
    bech32::segwit::decode(text).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The first block's reward, and the example of BIP 173: nobody has the keys.
    const GENESIS: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
    const SEGWIT: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

    #[test]
    fn published_examples_hold() {
        assert!(bitcoin(GENESIS) && segwit(SEGWIT));
        assert!(
            !bitcoin("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb") && !segwit("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5")
        );
    }

    proptest! {
        #[test]
        fn nothing_breaks_them(text in "\\PC{0,60}|[13][1-9A-Za-z]{20,60}|bc1[a-z0-9]{0,90}") {
            let _ = (bitcoin(&text), segwit(&text));
        }
    }
}
