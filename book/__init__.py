"""SHOW: the chapters executed, and the HTML book made from them."""
