//! What to do about a change that no saved state shows; `ADDRESS` stands for that of the resource.

/// A creation that no state shows.
pub const CREATED: &str =
    "It exists and no state shows it: add the import block to the configuration, then plan.";

/// A creation of which only the beginning is known.
pub const CREATION_BEGUN: &str = "\
     Its creation had begun and its id was not printed: look for it at the provider; if it exists, put \
     its id into the import block, add the block to the configuration, then plan.";

/// A replacement that the state does not show.
pub const REPLACED: &str = "\
     The state shows the resource that was replaced: run `terraform state rm 'ADDRESS'`, add the import \
     block to the configuration, then plan.";

/// A replacement of which only the beginning is known.
pub const REPLACEMENT_BEGUN: &str = "\
     Its replacement had begun: look at the provider for the old and the new one. If the new one exists, \
     run `terraform state rm 'ADDRESS'` and put its id into the import block; then plan.";

/// A destruction that the state does not show.
pub const DESTROYED: &str = "\
     It was destroyed and the state still shows it: the next plan reads that and removes it from the \
     state.";

/// A destruction of which only the beginning is known.
pub const DESTRUCTION_BEGUN: &str = "Its destruction had begun: the next plan reads whether it still exists.";
