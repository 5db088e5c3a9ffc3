//! Any bytes as the text of a batch of results; where they are an array as `JSON.stringify` writes it, its elements are
//! the ones that serde_json finds.
#![no_main]

use fasttunnel_engine::tunnel::array::{ArraySplitter, fuzz_array};
use serde_json::value::RawValue;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_array(data);
    let Ok(items) = serde_json::from_slice::<Vec<&RawValue>>(data) else { return };
    // Blanks are kept inside of elements, but JSON.stringify writes none around them.
    let text = format!("[{}]", items.iter().map(|item| item.get()).collect::<Vec<_>>().join(","));
    let mut splitter = ArraySplitter::new(text.as_bytes());
    let found: Vec<&str> = splitter.by_ref().map(|range| &text[range]).collect();
    assert_eq!(found, items.iter().map(|item| item.get()).collect::<Vec<_>>());
    assert!(splitter.is_complete());
});
