"""The manifest, versions.toml.

workspace       the paths of .uc/, which the toolkit writes to
manifest, load  its types; reading it, with versions.local.toml and UC_ variables over it
select          which services a command applies to
"""
