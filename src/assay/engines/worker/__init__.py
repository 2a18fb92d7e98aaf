"""The worker process: one model, served over the OpenAI protocol on loopback.

In: a ``Spec`` as one line of JSON on stdin. Out: HTTP on 127.0.0.1, and events as lines of JSON on stdout.
"""
