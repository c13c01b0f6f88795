//! What to do about a change that no saved state shows. `{address}` stands for the address of the resource,
//! `{old}` for the id of the one that it replaced, `{named}` for what the plan knew of it.

/// A creation that no state shows.
pub const CREATED: &str =
    "It exists and no state shows it: add the import block to the configuration, then plan.";

/// A creation whose address has another object in the state.
pub const CREATED_BESIDE: &str = "\
     It exists, and the state shows the one that it was to replace{old}, which may exist, too: run \
     `terraform state rm '{address}'`, add the import block to the configuration, delete the old one at the \
     provider if it still exists, then plan.";

/// A creation of which only the beginning is known.
pub const CREATION_BEGUN: &str = "\
     It may exist: its creation had begun and its id was not printed. Look for it at the provider{named}; if \
     it exists, put its id into the import block, add the block to the configuration, then plan. Otherwise \
     leave the block out.";

/// A creation that only the plan knows.
pub const CREATION_PLANNED: &str = "\
     It may exist: the plan was to create it, and the end of the log may be lost with the executor. Look for \
     it at the provider{named}; if it exists, put its id into the import block, add the block to the \
     configuration, then plan. Otherwise leave the block out.";

/// A replacement that the state does not show.
pub const REPLACED: &str = "\
     The state shows the resource that was replaced{old}: run `terraform state rm '{address}'`, add the \
     import block to the configuration, delete the old one at the provider if it still exists, then plan.";

/// A replacement of which only the beginning is known.
pub const REPLACEMENT_BEGUN: &str = "\
     Its replacement had begun: look at the provider for the old one{old} and the new one{named}. If the new \
     one exists, run `terraform state rm '{address}'`, put its id into the import block, delete the old one \
     at the provider if it still exists, then plan. Otherwise leave the block out.";

/// A replacement that only the plan knows.
pub const REPLACEMENT_PLANNED: &str = "\
     The plan was to replace it, and the end of the log may be lost with the executor: look at the provider \
     for the old one{old} and the new one{named}. If the new one exists, run `terraform state rm \
     '{address}'`, put its id into the import block, delete the old one at the provider if it still exists, \
     then plan. Otherwise leave the block out.";

/// A replacement of an object that was imported in the same run, of which only the beginning is known.
pub const REPLACEMENT_OF_IMPORT: &str = "\
     It was to be imported and replaced: look at the provider for the old one{old} and the new one{named}. \
     Put the id of the one that exists into the import block; if both do, that of the new one, and delete \
     the old one. Then plan.";

/// An import that the state does not show.
pub const IMPORTED: &str =
    "It was imported and no state shows that: keep the import block in the configuration, then plan.";

/// A destruction that the state does not show.
pub const DESTROYED: &str = "\
     It was destroyed and the state still shows it: the next plan reads that and removes it from the \
     state.";

/// A destruction of which only the beginning is known.
pub const DESTRUCTION_BEGUN: &str = "Its destruction had begun: the next plan reads whether it still exists.";

/// The first thing to do where the server keeps a state that was not stored.
pub const STORE_RESCUED: &str = "\
     Terraform left a state that it could not store. Download it (GET /v1/attempts/{attempt}/rescued-state), \
     send it to POST /state/v1/workspaces/{workspace}{lock}, and read this evidence again: what is missing \
     then is all that needs import blocks.";

/// The same where that state does not follow the saved one.
pub const RESCUED_DOES_NOT_FOLLOW: &str = "\
     Terraform left a state that it could not store (GET /v1/attempts/{attempt}/rescued-state). It does not \
     follow the last saved one (other lineage, or no higher serial): compare both before either is used.";

/// What to do with the import blocks.
pub const ADD_IMPORT_BLOCKS: &str = "\
     Follow the advice of each entry in `missing`, and add the import blocks to the configuration. Where a \
     block has REPLACE-WITH-THE-ID, look for the resource at the provider: fill in its id, or leave the \
     block out if it does not exist.";

/// How to check what was done.
pub const RECHECK: &str = "\
     Recheck (POST /v1/jobs/{job}/recheck): this plan must import what exists, and create nothing a second \
     time. It also releases the lock of the state that the lost executor has left.";

/// How to end it.
pub const CLOSE: &str = "\
     Accept or abandon the job (POST /v1/jobs/{job}/accept or …/abandon): the workspace is unlocked, and a \
     job that plans and applies does the rest.";
