"""A release: one transaction over git and the registry. Read steps.py: STEPS, in the order they run.

request, command       what is asked for; from flags to a release, a preview or a saved plan
record, names          what a release consists of, and how it is named in git and in the registry
stored, published      what the registry stores of a release; which releases are complete, withdrawn, gone
world, reuse, plan     what a plan depends on, read first; the plan, computed without asking anybody; plan_file
preflight, ci          what would stop a release later; who makes it
candidates             images in the registry by digest, without a tag
statements, attest     what a release attests; signing it, and reading what is signed
attach                 the tags by which tools find signatures, attestations and bills of materials
keyless                what cosign signs, attaches and verifies itself
sign                   both as steps of a release
claim, proof, carried  the git tag that takes the version, and carries the record and the signatures
publish, floats        immutable tags and the record; X.Y and X
recovery               finishing what an earlier run left
run, steps             the state of a release, and its steps
verify, verification   what is missing or wrong in a release; which releases, by which keys
checks                 what was looked at, and the refusal of a release where something is missing or wrong
expected               what its attestations must say
bills                  the bills of materials of a release
purl, packages         package URLs, and what came, went or changed between two bills
gate_changes           what differs between the gates of two releases
difference, compared   what differs between two releases; what that is read from
catalog, yank          the list of releases, and withdrawing one
needed, inventory      what must stay in the registry; what a repository of it has
leftovers, clean       what nothing needs; deleting it
"""
