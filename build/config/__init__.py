"""The manifest, versions.toml.

workspace       the paths of .uc/, which the toolkit writes to
deploy, signing the types of its deploy targets, and of the keys of releases
manifest, load  its types; reading it, with versions.local.toml and UC_ variables over it
local_file      writing versions.local.toml
rules, renamed  what values must be beyond their types; keys that have a new name
reference       the descriptions of keys in the documentation
schema          the JSON Schemas that editors read
select          which services a command applies to
"""
