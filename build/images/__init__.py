"""Images: what they stand on, what they are built from, and where they go. Read build.py: a build, in order.

    references, base_sources, stand_in, bases    where a base comes from: upstream, a mirror, an archive, a stand-in
    support                                      how old a base is, how long its line gets security fixes
    secrets, bake_file, definition               the bake file, written from the manifest
    contents, fingerprint, plan                  whether an image's sources changed; everything a build is made from
    staging                                      contexts without what the filter leaves out
    bake_log, bake, build                        one bake invocation, its log, its digests
    image, inspect, store                        an image, what the engine says of it, what was recorded
    data_formats                                 which format of data an image writes into its volumes
    settings                                     what an image says to whoever runs it
    layout, export, push                         images on their way to a registry

The docker command is used for bake (python-on-whales returns no digests), for inspect (a build with nothing to do takes
that path, and importing python-on-whales costs more than the rest of it), for import (python-on-whales inspects the
image again) and in threads (an interrupt ends only the processes of `process.run` there); python-on-whales for push.
"""
