"""The input gate: who may run inside an object. (The output gate belongs to the store.)"""
